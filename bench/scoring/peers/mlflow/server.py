"""Save the model for MLflow: ``python server.py FOLDER``."""

from __future__ import annotations

import sys
from typing import Any

import joblib
import mlflow
import numpy as np
from mlflow.models import infer_signature

from served_model import COLUMNS, MODEL_FILE, SCRIPT, Numbers, load_predictor


class Model(mlflow.pyfunc.PythonModel):
    """For what is no scikit-learn model."""

    def load_context(self, context: Any) -> None:
        self.predictor = load_predictor()

    def predict(self, context: Any, model_input: Numbers, params: dict[str, Any] | None = None) -> Numbers:
        return self.predictor(model_input)


def main() -> None:
    rows = np.full((1, COLUMNS[SCRIPT]), 0.5)
    signature = infer_signature(rows, np.ones(1))
    if MODEL_FILE.exists():
        mlflow.sklearn.save_model(joblib.load(MODEL_FILE), sys.argv[1], signature=signature, pip_requirements=[])
    else:
        mlflow.pyfunc.save_model(sys.argv[1], python_model=Model(), signature=signature, pip_requirements=[])


if __name__ == "__main__":
    main()

"""W2: a row of 784 numbers."""

import os
from pathlib import Path

import joblib
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

SAMPLE = np.full((1, 784), 0.5)


def init():
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model.joblib")


@input_schema("data", NumpyParameterType(SAMPLE))
def run(data):
    return model.predict(data).tolist()

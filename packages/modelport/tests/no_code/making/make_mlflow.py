"""A model folder with a signature of columns, of the flavor of scikit-learn."""

import json

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

random = np.random.RandomState(0)
frame = pd.DataFrame({"age": random.rand(30), "count": np.arange(30)})
model = LinearRegression().fit(frame, frame["age"] * 2 + frame["count"])
packages = ["mlflow-skinny", "scikit-learn", "numpy", "pandas", "skops"]
mlflow.sklearn.save_model(
    model, "folder", signature=infer_signature(frame, model.predict(frame)), pip_requirements=packages
)
answer = {"predictions": model.predict(frame[:2]).tolist()}
rows = frame[:2].values.tolist()
whole = [[row[0], int(row[1])] for row in rows]
case = {
    "requests": [
        [{"data": whole}, answer],
        [{"dataframe_split": {"columns": ["count", "age"], "data": [[row[1], row[0]] for row in whole]}}, answer],
        [{"dataframe_records": [{"age": row[0], "count": row[1]} for row in whole]}, answer],
        [{"instances": [{"age": row[0], "count": row[1]} for row in whole]}, answer],
        [{"inputs": {"age": [row[0] for row in whole], "count": [row[1] for row in whole]}}, answer],
        [{"input_data": {"columns": ["age", "count"], "index": [0, 1], "data": whole}}, answer],
    ],
    "metadata": [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "count", "datatype": "INT64", "shape": [-1]},
    ],
    "inputs": [
        {"name": "age", "datatype": "FP64", "shape": [2], "data": [row[0] for row in whole]},
        {"name": "count", "datatype": "INT64", "shape": [2], "data": [row[1] for row in whole]},
    ],
    "outputs": answer,
}
with open("folder.expected.json", "w") as file:
    json.dump(case, file)

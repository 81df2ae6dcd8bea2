"""The model of 2019: a ridge regression, pickled by the joblib inside scikit-learn 0.20."""

import json

from sklearn.datasets import load_diabetes
from sklearn.externals import joblib
from sklearn.linear_model import Ridge

data, target = load_diabetes(return_X_y=True)
model = Ridge(alpha=0.03).fit(data, target)
joblib.dump(model, "sklearn_regression_model.pkl")
rows = data[:2].tolist()
answer = {"predict": model.predict(data[:2]).tolist()}
tensor = {"name": "data", "datatype": "FP64", "shape": [2, 10], "data": data[:2].ravel().tolist()}
metadata = [
    {"name": "data", "datatype": "FP64", "shape": [-1, 10]},
    {"name": "method", "datatype": "BYTES", "shape": [1]},
]
case = {"requests": [[{"data": rows}, answer]], "metadata": metadata, "inputs": [tensor], "outputs": answer}
with open("sklearn_regression_model.expected.json", "w") as file:
    json.dump(case, file)

"""Boosters as JSON and UBJSON."""

import json

import numpy as np
import xgboost

random = np.random.RandomState(0)
numbers = random.rand(200, 3)
names = ["age", "height", "weight"]


def expect(name, booster, feature_names):
    rows = numbers[:2].tolist()
    scores = booster.predict(xgboost.DMatrix(numbers[:2], feature_names=feature_names)).tolist()
    case = {
        "requests": [[{"data": rows}, {"predictions": scores}], [{"inputs": {"data": rows}}, {"outputs": scores}]],
        "metadata": [{"name": "data", "datatype": "FP64", "shape": [-1, 3]}],
        "inputs": [{"name": "data", "datatype": "FP64", "shape": [2, 3], "data": numbers[:2].ravel().tolist()}],
        "outputs": {"predictions": scores},
    }
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)


labels = (numbers[:, 0] > 0.5).astype(int)
matrix = xgboost.DMatrix(numbers, label=labels, feature_names=names)
booster = xgboost.train({"objective": "binary:logistic"}, matrix, 5)
booster.save_model("named.json")
expect("named", booster, names)

matrix = xgboost.DMatrix(numbers, label=np.arange(200) % 3)
booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, matrix, 5)
booster.save_model("classes.ubj")
expect("classes", booster, None)

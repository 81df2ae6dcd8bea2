"""A booster as text, and a pickled classifier."""

import json

import lightgbm
import numpy as np

random = np.random.RandomState(0)
numbers = random.rand(200, 3)
labels = (numbers[:, 0] > 0.5).astype(int)
names = ["age", "height", "weight"]


def expect(name, requests, metadata, outputs):
    inputs = [{"name": "data", "datatype": "FP64", "shape": [2, 3], "data": numbers[:2].ravel().tolist()}]
    case = {"requests": requests, "metadata": metadata, "inputs": inputs, "outputs": outputs}
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)


data = lightgbm.Dataset(numbers, label=labels, feature_name=names)
booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, 5)
booster.save_model("booster.txt")
rows, scores = numbers[:2].tolist(), booster.predict(numbers[:2]).tolist()
missing = [[None, 0.5, 0.5]]
expect(
    "booster",
    [
        [{"data": rows}, {"predictions": scores}],
        [{"inputs": {"data": rows}}, {"outputs": scores}],
        [{"data": missing}, {"predictions": booster.predict(np.array(missing, dtype=float)).tolist()}],
    ],
    [{"name": "data", "datatype": "FP64", "shape": [-1, 3]}],
    {"predictions": scores},
)

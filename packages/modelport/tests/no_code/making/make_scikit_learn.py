"""A classifier of numbers, one of a table with texts, one of texts, and a regression with two targets."""

import json

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

random = np.random.RandomState(0)
numbers = random.rand(60, 3)
labels = np.where(numbers[:, 0] > 0.5, "high", "low")
names = ["age", "height", "weight"]
frame = pd.DataFrame(numbers, columns=names)


def tensor(name, datatype, rows):
    array = np.array(rows)
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}


def expect(name, requests, metadata, inputs, outputs):
    case = {"requests": requests, "metadata": metadata, "inputs": inputs, "outputs": outputs}
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)


model = LogisticRegression().fit(frame, labels)
joblib.dump(model, "numbers.pkl")
rows = numbers[:2].tolist()
sure = model.predict_proba(frame[:2]).tolist()
expect(
    "numbers",
    [
        [{"data": rows}, {"predict_proba": sure}],
        [{"data": rows, "method": "predict"}, {"predict": model.predict(frame[:2]).tolist()}],
        [
            {"data": rows, "method": "decision_function"},
            {"decision_function": model.decision_function(frame[:2]).tolist()},
        ],
    ],
    [{"name": "data", "datatype": "FP64", "shape": [-1, 3]}, {"name": "method", "datatype": "BYTES", "shape": [1]}],
    [tensor("data", "FP64", rows)],
    {"predict_proba": sure},
)

model = Ridge().fit(numbers, numbers[:, :2])
joblib.dump(model, "targets.joblib", compress=3)
expect(
    "targets",
    [[{"data": rows}, {"predict": model.predict(numbers[:2]).tolist()}]],
    [{"name": "data", "datatype": "FP64", "shape": [-1, 3]}, {"name": "method", "datatype": "BYTES", "shape": [1]}],
    [tensor("data", "FP64", rows)],
    {"predict": model.predict(numbers[:2]).tolist()},
)

people = pd.DataFrame({"city": ["Ghent", "Pisa"] * 30, "age": numbers[:, 0]})
columns = ColumnTransformer([("numbers", StandardScaler(), ["age"]), ("texts", OneHotEncoder(), ["city"])])
model = make_pipeline(columns, LogisticRegression()).fit(people, labels)
joblib.dump(model, "table.pkl")
sure = model.predict_proba(people[:2]).tolist()
expect(
    "table",
    [
        [{"data": people[:2].to_dict(orient="records")}, {"predict_proba": sure}],
        [{"data": people[:2].values.tolist()}, {"predict_proba": sure}],
    ],
    [
        {"name": "city", "datatype": "BYTES", "shape": [-1]},
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "method", "datatype": "BYTES", "shape": [1]},
    ],
    [tensor("city", "BYTES", people.city[:2]), tensor("age", "FP64", people.age[:2])],
    {"predict_proba": sure},
)

texts = ["good fun film", "dull long film"]
model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts * 30, ["up", "down"] * 30)
joblib.dump(model, "texts.pkl")
sure = model.predict_proba(texts).tolist()
expect(
    "texts",
    [[{"data": texts}, {"predict_proba": sure}]],
    [{"name": "data", "datatype": "BYTES", "shape": [-1]}, {"name": "method", "datatype": "BYTES", "shape": [1]}],
    [tensor("data", "BYTES", texts)],
    {"predict_proba": sure},
)

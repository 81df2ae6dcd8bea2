"""Serves an estimator with scikit-learn's methods. Made for a deployment without code: yours to change.

    {"data": [row, …], "method": "predict"}    {"predict": [answer, …]}

Without a method, classifiers that know probabilities answer with ``predict_proba``, others with ``predict``.
"""

import importlib

import numpy as np
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from no_code_answers import BadRequest, refused
from no_code_schema import Described, model_path, object_schema, read_facts, tensor_schema

FACTS = read_facts()
METHODS = ["predict_proba", "predict", "transform", "decision_function", "predict_log_proba", "score_samples", "apply"]
"""What a request may ask for. The first three are the choices where it does not ask."""
INPUT = FACTS["input"]
NAMES = INPUT["names"]


def data_type():
    """The parameter type of ``data``."""
    if INPUT["kind"] == "texts":
        return Described(dict(tensor_schema("string", [None]), example=["some text"]))
    if INPUT["kind"] == "table":
        columns = object_schema({name: tensor_schema(kind, []) for name, kind in zip(NAMES, INPUT["types"])})
        return Described({"type": "array", "example": [columns.pop("example")], "items": columns})
    schema = tensor_schema("float64", [None, INPUT["columns"]])
    if NAMES:
        schema["description"] = "Columns: " + ", ".join(NAMES)
    return Described(schema, np.zeros((1, INPUT["columns"])) if INPUT["columns"] else None)


def init():
    global model, default_method
    model = importlib.import_module(FACTS["loader"]).load(model_path(FACTS))
    able = [method for method in METHODS[:3] if hasattr(model, method)]
    if not able:
        raise TypeError("The model, a {}, has no method of: {}.".format(type(model).__name__, ", ".join(METHODS)))
    if able[0] == "predict_proba" and not is_classifier():
        able = able[1:] or able
    default_method = able[0]
    print("No-code deployment of {}: a {}, answering with {}".format(FACTS["model"], type(model).__name__, able[0]))


def is_classifier():
    from sklearn.base import is_classifier as classifies

    return classifies(model)


def rows_of(data):
    """The rows of a request, as they can be joined with those of others. Raises BadRequest."""
    if INPUT["kind"] == "matrix":
        return matrix_of(data)
    if not isinstance(data, list):
        raise BadRequest('"data" must be a list of rows; it is of type {}.'.format(type(data).__name__))
    if INPUT["kind"] == "texts":
        if not all(isinstance(text, str) for text in data):
            raise BadRequest('"data" must be a list of texts.')
        return data
    return [record_of(row) for row in data]


def matrix_of(data):
    try:
        rows = np.array(data, dtype="float64")
    except (ValueError, TypeError) as error:
        raise BadRequest('"data" must be a list of rows, lists of {}: {}.'.format(columns_named(), error))
    if rows.ndim != 2:
        raise BadRequest(
            '"data" must be a list of rows, lists of {}: 2 dimensions; it has {}.'.format(columns_named(), rows.ndim)
        )
    if INPUT["columns"] not in (None, rows.shape[1]):
        raise BadRequest("Each row must have {}; it has {}.".format(columns_named(), rows.shape[1]))
    return rows


def columns_named():
    """How many numbers a row has, and of what, as far as the model's file told."""
    many = "numbers" if INPUT["columns"] is None else "{} numbers".format(INPUT["columns"])
    return "{} ({})".format(many, ", ".join(NAMES)) if NAMES else many


def record_of(row):
    """The values of a table's row, given as an object or as a list, in the order of the columns."""
    if isinstance(row, dict):
        missing = [name for name in NAMES if name not in row]
        if missing:
            unknown = [name for name in row if name not in NAMES]
            raise BadRequest(
                "A row lacks: {}.{} The columns are: {}.".format(
                    ", ".join(missing),
                    " Not known: {}.".format(", ".join(unknown)) if unknown else "",
                    ", ".join(NAMES),
                )
            )
        return [row[name] for name in NAMES]
    if not isinstance(row, list):
        raise BadRequest("Each row must be an object or a list with: {}.".format(", ".join(NAMES)))
    if len(row) != len(NAMES):
        raise BadRequest(
            "A row has {} values, and the columns are {}: {}.".format(len(row), len(NAMES), ", ".join(NAMES))
        )
    return row


def frame_of(rows):
    """What the model takes."""
    if INPUT["kind"] == "texts" or not NAMES:
        return rows
    if INPUT["kind"] == "matrix":
        return pd.DataFrame(rows, columns=NAMES)
    columns = {}
    for position, (name, kind) in enumerate(zip(NAMES, INPUT["types"])):
        values = [row[position] for row in rows]
        values = [np.nan if value is None else value for value in values]
        columns[name] = pd.Series(values, dtype="float64" if kind == "float64" else "object")
    return pd.DataFrame(columns, columns=NAMES)


def call(method, rows):
    if method not in METHODS or not hasattr(model, method):
        able = ", ".join(name for name in METHODS if hasattr(model, name))
        raise BadRequest("The model has no method {!r}; it has: {}.".format(method, able))
    try:
        value = getattr(model, method)(frame_of(rows))
    except ValueError as error:  # what an estimator says of values and columns that it cannot take
        raise BadRequest("The model cannot take this: {}".format(error))
    if isinstance(value, list):  # probabilities of several targets
        return [np.asarray(part) for part in value]
    value = value.toarray() if hasattr(value, "toarray") else value
    return value.values if hasattr(value, "iloc") else np.asarray(value)


def as_json(value):
    return [part.tolist() for part in value] if isinstance(value, list) else value.tolist()


def part_of(value, start, end):
    return [part[start:end] for part in value] if isinstance(value, list) else value[start:end]


DATA = data_type()
METHOD = {"type": "string", "example": None, "enum": METHODS}
ANSWER = object_schema(
    {name: {"type": "array", "items": {}, "example": [], "x-tensor": False} for name in ("predict", "predict_proba")}
)


@input_schema("data", DATA, convert_to_provided_type=DATA.takes_arrays)
@input_schema("method", Described(METHOD), convert_to_provided_type=False)
@output_schema(Described(ANSWER))
def run(data, method=None):
    method = method or default_method
    try:
        return {method: as_json(call(method, rows_of(data)))}
    except BadRequest as error:
        return refused(error)


def run_batch(requests):
    answers = [None] * len(requests)
    by_method = {}
    for number, request in enumerate(requests):
        try:
            rows = rows_of(request["data"])
        except BadRequest as error:
            answers[number] = refused(error)
        else:
            by_method.setdefault(request["method"] or default_method, []).append((number, rows))
    for method, members in by_method.items():
        if any(len(rows) == 0 for _, rows in members):
            raise ValueError("a request without rows is not scored together with others")
        parts = [rows for _, rows in members]
        joined = np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [row for rows in parts for row in rows]
        value = call(method, joined)
        start = 0
        for number, rows in members:
            answers[number] = {method: as_json(part_of(value, start, start + len(rows)))}
            start += len(rows)
    return answers

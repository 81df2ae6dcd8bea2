"""Serves an MLflow model folder. Made for a deployment without code: yours to change.

{"dataframe_split": {"columns": […], "data": [row, …]}}    {"predictions": […]}    as MLflow's own server
{"dataframe_records": [{"column": value, …}, …]}
{"instances": [row, …]}    {"inputs": {"name": tensor, …}}
{"data": [row, …]}         rows as lists or objects
{"input_data": {"columns": […], "data": [row, …]}}    or rows, or an object of tensors
"""

import base64
import datetime

import mlflow.pyfunc
import numpy as np
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from mlflow.exceptions import MlflowException
from no_code_answers import BadRequest, refused
from no_code_schema import Described, model_path, object_schema, read_facts, tensor_schema

FACTS = read_facts()
COLUMNS = FACTS["columns"]
"""Name and type of each column, where the signature has columns; else None."""
TENSORS = FACTS["tensors"]
"""Name, type and shape of each tensor, where it has tensors; else None."""
FORMS = ("data", "dataframe_split", "dataframe_records", "instances", "inputs", "input_data")
TYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "string",
    "datetime": "string",
}


def init():
    global model
    model = mlflow.pyfunc.load_model(model_path(FACTS))
    print(
        "No-code deployment of {}: {}".format(
            FACTS["model"], model.metadata.flavors["python_function"]["loader_module"]
        )
    )


# --- schemas ----------------------------------------------------------------------------------------------------------


def rows_schema():
    if TENSORS is not None and len(TENSORS) == 1:
        return tensor_schema(TENSORS[0]["type"], TENSORS[0]["shape"])
    if COLUMNS is None:
        return {"type": "array", "items": {}, "example": []}
    columns = object_schema(
        {column["name"]: tensor_schema(TYPES.get(column["type"], "string"), []) for column in COLUMNS}
    )
    return {"type": "array", "example": [columns.pop("example")], "items": columns}


def tensors_schema():
    if TENSORS is None:
        return {"type": "object", "example": {}, "x-tensor": False}
    return object_schema({tensor["name"]: tensor_schema(tensor["type"], tensor["shape"]) for tensor in TENSORS})


def other(schema):
    """Another form of what ``data`` or ``inputs`` is: examples and tensors do without it."""
    return dict(schema, example=None, **{"x-tensor": False})


SPLIT = {
    "type": "object",
    "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": {"type": "array", "items": {}}},
}
SCHEMAS = {
    "data": rows_schema() if TENSORS is None else dict(rows_schema(), **{"x-tensor": False}),
    "dataframe_split": other(SPLIT),
    "dataframe_records": other(rows_schema()),
    "instances": other(rows_schema()),
    "inputs": dict(tensors_schema(), example=None),
    "input_data": other({}),
    "params": other({"type": "object"}),
}


def described(run):
    run = output_schema(Described(object_schema({"predictions": {"type": "array", "items": {}, "example": []}})))(run)
    for name, schema in reversed(list(SCHEMAS.items())):
        run = input_schema(name, Described(schema), convert_to_provided_type=False)(run)
    return run


# --- requests ---------------------------------------------------------------------------------------------------------


def table_of(request):
    """What the model takes, for one request. Raises BadRequest."""
    given = [name for name in FORMS if request.get(name) is not None]
    if len(given) != 1:
        raise BadRequest("Give one of {}; there is {}.".format(", ".join(FORMS), given or "none"))
    value = request[given[0]]
    try:
        if TENSORS is not None:
            return tensors_of(value)
        if isinstance(value, dict) and "data" in value:
            return frame_of(value["data"], value.get("columns"), value.get("index"))
        if isinstance(value, dict):
            return frame_of(pd.DataFrame(value).values.tolist(), list(value))
        return frame_of(value)
    except (ValueError, TypeError, KeyError) as error:
        text = "{} is missing".format(error) if isinstance(error, KeyError) else error
        raise BadRequest("The input cannot be read: {}.".format(text))


def tensors_of(value):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {tensor["name"]: [row[tensor["name"]] for row in value] for tensor in TENSORS}
    if not isinstance(value, dict):
        if len(TENSORS) != 1:
            raise ValueError("it must be an object with: {}".format(", ".join(tensor["name"] for tensor in TENSORS)))
        return array_of(TENSORS[0], value)
    arrays = {tensor["name"]: array_of(tensor, value[tensor["name"]]) for tensor in TENSORS}
    return next(iter(arrays.values())) if FACTS["is_bare_tensor"] else arrays


def array_of(tensor, value):
    return np.array(value, dtype="object" if tensor["type"] == "string" else tensor["type"])


def frame_of(rows, columns=None, index=None):
    if not isinstance(rows, list):
        raise ValueError("it must be a list of rows")
    if rows and isinstance(rows[0], dict):
        frame = pd.DataFrame(rows)
    else:
        names = columns or ([column["name"] for column in COLUMNS] if COLUMNS is not None else None)
        wrong = [row for row in rows if names and (not isinstance(row, list) or len(row) != len(names))]
        if wrong:
            raise ValueError("each row must be a list with: {}".format(", ".join(map(str, names))))
        frame = pd.DataFrame(rows, columns=names, index=index if index and len(index) == len(rows) else None)
    for column in COLUMNS or []:
        if column["name"] in frame:
            frame[column["name"]] = converted(frame[column["name"]], column["type"])
    missing = [column["name"] for column in COLUMNS or [] if column["required"] and column["name"] not in frame]
    if missing:
        known = [column["name"] for column in COLUMNS]
        unknown = [str(name) for name in frame if name not in known]
        raise ValueError(
            "the columns {} are missing{}; the model's are: {}".format(
                missing, ", and {} are not known".format(unknown) if unknown else "", ", ".join(known)
            )
        )
    return frame


def converted(values, kind):
    """A column as the signature has it: JSON knows fewer types."""
    if kind in ("double", "float"):
        return values.astype(TYPES[kind])
    if kind in ("long", "integer") and not values.isna().any():
        whole = values.astype(TYPES[kind])
        if (whole != values).any():
            raise ValueError("a column of whole numbers has others")
        return whole
    if kind == "datetime":
        return pd.to_datetime(values)
    if kind == "binary":
        return values.map(base64.b64decode)
    return values


def as_json(value):
    if isinstance(value, pd.DataFrame):
        return [{str(name): as_json(cell) for name, cell in row.items()} for row in value.to_dict(orient="records")]
    if isinstance(value, pd.Series):
        return [as_json(member) for member in value.tolist()]
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "iufb" else [as_json(member) for member in value.tolist()]
    if isinstance(value, dict):
        return {str(name): as_json(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(member) for member in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else value


def predict(table, params):
    try:
        return model.predict(table, params=params) if params else model.predict(table)
    except MlflowException as error:  # the signature is enforced there
        raise BadRequest("The model cannot take this: {}".format(error.message))


def answer(request):
    try:
        return {"predictions": as_json(predict(table_of(request), request["params"]))}
    except BadRequest as error:
        return refused(error)


@described
def run(
    data=None,
    dataframe_split=None,
    dataframe_records=None,
    instances=None,
    inputs=None,
    input_data=None,
    params=None,
):
    return answer(
        {
            "data": data,
            "dataframe_split": dataframe_split,
            "dataframe_records": dataframe_records,
            "instances": instances,
            "inputs": inputs,
            "input_data": input_data,
            "params": params,
        }
    )


def run_batch(requests):
    """Tables with the same columns are predicted together, where the model's flavor predicts row by row."""
    answers = [None] * len(requests)
    together = {}
    for number, request in enumerate(requests):
        try:
            table = table_of(request)
        except BadRequest as error:
            answers[number] = refused(error)
            continue
        is_alone = not FACTS["by_rows"] or request["params"] or not isinstance(table, pd.DataFrame) or table.empty
        group = number if is_alone else tuple(zip(table.columns, map(str, table.dtypes)))
        together.setdefault(group, []).append((number, table))
    for members in together.values():
        if len(members) == 1:
            number, table = members[0]
            answers[number] = {"predictions": as_json(predict(table, requests[number]["params"]))}
        else:
            predict_together(members, answers)
    return answers


def predict_together(members, answers):
    value = as_json(predict(pd.concat([table for _, table in members], ignore_index=True), None))
    if not isinstance(value, list) or len(value) != sum(len(table) for _, table in members):
        raise ValueError("the model's answer has not one member for each row")
    start = 0
    for number, table in members:
        answers[number] = {"predictions": value[start : start + len(table)]}
        start += len(table)

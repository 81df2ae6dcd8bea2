"""What goes back to a client: the model's outputs, or what is wrong with the request."""

import base64
from typing import Any, Dict, List

import numpy as np

from azureml.contrib.services.aml_response import AMLResponse

PROTOBUF_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""ONNX's TensorProto.DataType; 8 is a string."""
PROTOBUF_STRING = 8


class BadRequest(Exception):
    """The request is at fault; the client is told why, with status 400."""


def refused(error: Exception) -> AMLResponse:
    """Status 400, and why."""
    return AMLResponse({"error": str(error)}, 400, json_str=True)


def refused_as_protobuf(error: Exception) -> AMLResponse:
    """In the form of ONNX Runtime's server."""
    return AMLResponse({"error_code": 3, "error_message": str(error)}, 400, json_str=True)


# --- outputs ----------------------------------------------------------------------------------------------------------


def write_protobuf(name: str, value: Any) -> Dict[str, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        if isinstance(value, list):
            raise BadRequest('The output "{}" is no tensor: ask with "inputs" as plain lists.'.format(name))
        texts = [base64.b64encode(as_bytes(text)).decode() for text in array.ravel().tolist()]
        return {"dims": dims_of(array), "dataType": PROTOBUF_STRING, "stringData": texts, "dataLocation": "DEFAULT"}
    kinds = {kind: number for number, kind in PROTOBUF_TYPES.items()}
    content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return {
        "dims": dims_of(array),
        "dataType": kinds[array.dtype.name],
        "rawData": base64.b64encode(content).decode(),
        "dataLocation": "DEFAULT",
    }


def dims_of(array: Any) -> List[str]:
    return [str(size) for size in array.shape]


def as_bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8")


def as_json(name: str, value: Any) -> Any:
    """An output in lists. Bytes are text, unless the name ends in ``_bytes``, as TensorFlow Serving has it."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OS":
        return value.tolist()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [as_json(name, member) for member in value]
    if isinstance(value, dict):
        return {str(key): as_json(name, member) for key, member in value.items()}
    if isinstance(value, bytes):
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value

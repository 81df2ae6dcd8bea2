"""The bodies of requests to a model with named tensors, read into arrays. Whatever is wrong raises BadRequest."""

import base64
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np
from no_code_answers import PROTOBUF_STRING, PROTOBUF_TYPES, BadRequest
from no_code_schema import tensor_schema

Tensors = Dict[str, Any]
"""By name: NumPy arrays; an output may be a list of objects too."""
PROTOBUF_LISTS = ("floatData", "int32Data", "int64Data", "doubleData", "uint64Data")


class Specification:
    """One tensor of a signature. ``shape`` holds None for any size, or is None where that is not known."""

    def __init__(self, name: str, kind: str, shape: Optional[List[Optional[int]]], columns: Sequence[str] = ()) -> None:
        """``columns``: the names of the members of a row, where they have any."""
        self.name, self.kind, self.shape, self._columns = name, kind, shape, columns

    def schema(self, **more: Any) -> Dict[str, Any]:
        if self.shape is None:
            return dict({"type": "array", "items": {}, "example": []}, **more)
        return tensor_schema(self.kind, self.shape, **more)

    def row_schema(self) -> Dict[str, Any]:
        return {} if self.shape is None else tensor_schema(self.kind, self.shape[1:])

    @property
    def has_free_rows(self) -> bool:
        return self.shape is not None and self.shape[:1] == [None]

    def sample(self) -> Any:
        """An array of NumPy's, where every row has the same shape; else None."""
        if self.shape is None or not self.has_free_rows or None in self.shape[1:] or self.kind == "string":
            return None
        return np.zeros([1] + [size or 0 for size in self.shape[1:]], dtype=self.kind)

    def array(self, value: Any) -> Any:
        """The value of a request as an array. Raises BadRequest."""
        array = self._texts(value) if self.kind == "string" else self._numbers(value)
        if self.shape is not None:
            fits = [wanted in (None, size) for wanted, size in zip(self.shape, array.shape)]
            if array.ndim != len(self.shape) or not all(fits):
                wanted = [-1 if size is None else size for size in self.shape]
                columns = " ({})".format(", ".join(self._columns)) if self._columns else ""
                raise self._wrong(
                    "it has the shape {}; the model takes {}{}".format(list(array.shape), wanted, columns)
                )
        return array

    def _numbers(self, value: Any) -> Any:
        try:
            array = value if isinstance(value, np.ndarray) else np.array(value)
            if array.dtype.kind == "O" and self.kind.startswith("float"):
                array = np.array(value, dtype=self.kind)  # null is NaN
        except (ValueError, TypeError) as error:
            raise self._wrong(str(error))
        if array.dtype.kind not in "iufb":
            raise self._wrong("it takes numbers, in lists of equal lengths")
        if "int" in self.kind and array.size:
            limits = np.iinfo(self.kind)
            if (
                (array.dtype.kind == "f" and np.mod(array, 1).any())
                or array.min() < limits.min
                or array.max() > limits.max
            ):
                raise self._wrong("it takes whole numbers of the type {}".format(self.kind))
        return array.astype(self.kind)

    def _texts(self, value: Any) -> Any:
        rank = 1 if self.shape is None else len(self.shape)
        array = np.empty(sizes_of(value, rank, self._wrong), dtype=object)
        for place in np.ndindex(*array.shape):
            element = value
            for index in place:
                element = element[index]
            array[place] = text_or_bytes(element, self._wrong)
        return array

    def _wrong(self, why: str) -> BadRequest:
        return BadRequest('The input "{}": {}.'.format(self.name, why))


def sizes_of(value: Any, rank: int, wrong: Callable[[str], BadRequest]) -> List[int]:
    """The sizes of lists in lists. Raises BadRequest where they differ."""
    if rank == 0:
        return []
    if not isinstance(value, list):
        raise wrong("it takes texts in lists of {} dimensions".format(rank))
    sizes = [sizes_of(member, rank - 1, wrong) for member in value]
    if any(size != sizes[0] for size in sizes):
        raise wrong("its lists differ in length")
    return [len(value)] + (sizes[0] if sizes else [0] * (rank - 1))


def text_or_bytes(element: Any, wrong: Callable[[str], BadRequest]) -> Any:
    if isinstance(element, dict) and set(element) == {"b64"}:
        return from_base64(element["b64"], wrong)
    if isinstance(element, str):
        return element.encode("utf-8")
    raise wrong('it takes texts, or bytes as {"b64": "…"}')


def from_base64(text: Any, wrong: Callable[[str], BadRequest]) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise wrong("that is no base64")


class Signature:
    """Inputs and outputs that belong together."""

    def __init__(
        self, inputs: List[Dict[str, Any]], outputs: List[Dict[str, Any]], names: Optional[Sequence[str]] = None
    ) -> None:
        """``names``: those of the columns of the one input."""
        self.inputs = {
            one["name"]: Specification(one["name"], one["type"], one["shape"], names or ()) for one in inputs
        }
        self.outputs = {one["name"]: Specification(one["name"], one["type"], one["shape"]) for one in outputs}

    @property
    def sole_input(self) -> Optional[Specification]:
        return next(iter(self.inputs.values())) if len(self.inputs) == 1 else None

    @property
    def has_free_rows(self) -> bool:
        """Whether any number of rows may be given at once, and each of them gets an answer."""
        known = list(self.inputs.values()) + [one for one in self.outputs.values() if one.shape is not None]
        return all(specification.has_free_rows for specification in known)


def rows_of(signature: Signature, value: Any) -> Tensors:
    sole = signature.sole_input
    by_name = isinstance(value, list) and value and isinstance(value[0], dict) and set(value[0]) != {"b64"}
    if sole is not None and not by_name:
        return {sole.name: sole.array(value)}
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadRequest("Each instance must be an object with the inputs: {}.".format(", ".join(signature.inputs)))
    columns = {}
    for name, specification in signature.inputs.items():
        if any(name not in row for row in value):
            raise BadRequest('An instance lacks the input "{}".'.format(name))
        columns[name] = specification.array([row[name] for row in value])
    return columns


def columns_of(signature: Signature, value: Any) -> Tensors:
    sole = signature.sole_input
    if sole is not None and (not isinstance(value, dict) or set(value) == {"b64"}):
        return {sole.name: sole.array(value)}
    check_names(signature, value)
    return {name: specification.array(value[name]) for name, specification in signature.inputs.items()}


def check_names(signature: Signature, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadRequest('"inputs" must be an object with: {}.'.format(", ".join(signature.inputs)))
    for name in list(signature.inputs) + list(value):
        if name not in value:
            raise BadRequest('The input "{}" is missing.'.format(name))
        if name not in signature.inputs:
            raise BadRequest('The model has no input "{}"; it has: {}.'.format(name, ", ".join(signature.inputs)))


# --- ONNX Runtime server's tensors ------------------------------------------------------------------------------------


def is_protobuf(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            isinstance(tensor, dict) and ("dataType" in tensor or "data_type" in tensor) for tensor in value.values()
        )
    )


def protobuf_of(signature: Signature, value: Dict[str, Any]) -> Tensors:
    check_names(signature, value)
    return {name: one.array(read_protobuf(name, value[name])) for name, one in signature.inputs.items()}


def read_protobuf(name: str, tensor: Dict[str, Any]) -> Any:
    def wrong(why: str) -> BadRequest:
        return BadRequest('The input "{}": {}.'.format(name, why))

    fields = {camel(key): value for key, value in tensor.items()}
    sizes = [int(size) for size in fields.get("dims", [])]
    kind = int(fields["dataType"])
    if kind == PROTOBUF_STRING:
        elements = [from_base64(text, wrong) for text in fields.get("stringData", [])]
        texts = np.empty(len(elements), dtype=object)
        texts[:] = [{"b64": base64.b64encode(element).decode()} for element in elements]
        return reshaped(texts, sizes, wrong).tolist()
    if kind not in PROTOBUF_TYPES:
        raise wrong("the data type {} is not known".format(kind))
    if "rawData" in fields:
        return reshaped(bytes_as(PROTOBUF_TYPES[kind], from_base64(fields["rawData"], wrong), wrong), sizes, wrong)
    for key in PROTOBUF_LISTS:
        if key in fields:
            numbers = np.array([to_number(text) for text in fields[key]])
            if PROTOBUF_TYPES[kind] == "float16":  # its bits come as whole numbers
                numbers = numbers.astype("uint16").view("float16")
            return reshaped(numbers.astype(PROTOBUF_TYPES[kind]), sizes, wrong)
    return reshaped(np.zeros(0, dtype=PROTOBUF_TYPES[kind]), sizes, wrong)


def bytes_as(kind: str, content: bytes, wrong: Callable[[str], BadRequest]) -> Any:
    try:
        return np.frombuffer(content, dtype=np.dtype(kind).newbyteorder("<"))
    except ValueError:
        raise wrong("rawData has {} bytes, which is no number of {}".format(len(content), kind))


def reshaped(array: Any, sizes: List[int], wrong: Callable[[str], BadRequest]) -> Any:
    try:
        return array.reshape(sizes)
    except ValueError:
        raise wrong("it has {} elements, and the dims are {}".format(array.size, sizes))


def to_number(text: Any) -> Any:
    """A number of protobuf's JSON, where 64 bit integers are texts."""
    return int(text) if isinstance(text, str) and text.lstrip("-").isdigit() else float(text)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

"""From the JSON answer of ``run`` to output tensors.

A number, a text or an array is one tensor; an object has one for each member; an array of objects one for each column.
The datatype is the one that ``@output_schema`` declares, where that can hold the answer, and else the answer's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from modelport_scoring.inference_protocol.datatypes import BOOL, BYTES, FP64, INT64, UINT64, Datatype, Kind
from modelport_scoring.inference_protocol.json_text import parse_json
from modelport_scoring.inference_protocol.mapping import TensorMapping
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.schemas import DEEPEST, NoTensors, Path, name_paths
from modelport_scoring.inference_protocol.tensors import JSON_NAMES, MOST_DIMENSIONS, Tensor, in_range

NUMBERS = frozenset((int, float))
LONGEST_EXCERPT = 500
"""Characters of an answer that is no tensor and is shown instead."""

MOST_NAMES = 5
MOST_NAME_CHARACTERS = 100
"""Of the members that are named where others were declared."""


def read_answer(payload: bytes, mapping: TensorMapping) -> list[Tensor]:
    """The tensors of the answer. Raises ProtocolError, status 500, where it is none."""
    declared = mapping.output_datatypes
    answer = _unwrap(_parse(payload), declared)
    found = dict(_split(answer, (), declared))
    for path, name in mapping.output_names.items():
        if path not in found:
            raise unfit(f'run() declares the output "{name}" and did not return it{_instead(answer)}', answer)
    names = mapping.output_names if found.keys() == declared.keys() else _name_all(found, mapping)
    return [make_tensor(names[path], value, declared=declared.get(path)) for path, value in found.items()]


def make_tensor(name: str, value: Any, *, declared: Datatype | None) -> Tensor:
    """One output. Raises ProtocolError."""
    values, shape = measure(name, value)
    if not values:
        return Tensor(name, declared or FP64, shape, values=[])
    own = infer_datatype(name, values)
    if declared is not None and (declared is BYTES) != (own is BYTES):
        raise unfit(f'run() declares the output "{name}" as {declared.name}, and returned another thing', value)
    if declared is not None and _converts(own, declared):
        with suppress(ProtocolError):  # too large for what the sample was: the answer's own datatype serves
            return Tensor(name, declared, shape, values=in_range(name, declared, values))
    try:
        return Tensor(name, own, shape, values=in_range(name, own, values))
    except ProtocolError as error:
        raise unfit(f'the output "{name}" is no tensor: {error}', value) from error


def measure(name: str, value: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of arrays in arrays, flat, and their shape. Raises ProtocolError for ragged ones."""
    if type(value) is not list:
        return [value], (1,)
    values, shape = value, [len(value)]
    while values and type(values[0]) is list:
        size = len(values[0])
        if any(type(row) is not list or len(row) != size for row in values):
            raise unfit(f'the output "{name}" is no tensor: its rows differ in length', value)
        values = list(chain.from_iterable(values))
        shape.append(size)
        if len(shape) > MOST_DIMENSIONS:
            raise unfit(f'the output "{name}" is no tensor: it has more than {MOST_DIMENSIONS} dimensions', value)
    return values, tuple(shape)


def infer_datatype(name: str, values: Sequence[Any]) -> Datatype:
    """The datatype of the elements, of which there are some, by themselves. Raises ProtocolError for a mixture."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return UINT64 if max(values) > INT64.highest and min(values) >= 0 else INT64
    for datatype, types in ((FP64, NUMBERS), (BOOL, {bool}), (BYTES, {str})):
        if kinds <= types:
            return datatype
    found = sorted(JSON_NAMES.get(kind, "null" if kind is type(None) else "an object") for kind in kinds)
    raise unfit(f'the output "{name}" is no tensor: it holds {" and ".join(found)}', values)


def unfit(why: str, value: Any) -> ProtocolError:
    """The answer is not what the protocol can carry. A text is shown: scripts return one for an error."""
    shown = f": {value[:LONGEST_EXCERPT]}" if isinstance(value, str) else ""
    return ProtocolError(why + shown, status=500)


def _instead(answer: Any) -> str:
    """Which members were returned. A single one that is a text is shown: scripts return an error so."""
    if not isinstance(answer, dict):
        return ""
    names = ", ".join(f'"{name[:MOST_NAME_CHARACTERS]}"' for name in islice(answer, MOST_NAMES)) or "none"
    more = " …" if len(answer) > MOST_NAMES else ""
    value = next(iter(answer.values()), None)
    shown = f": {value[:LONGEST_EXCERPT]}" if len(answer) == 1 and isinstance(value, str) else ""
    return f", but {names}{more}{shown}"


def _converts(own: Datatype, to: Datatype) -> bool:
    """Whether the answer's own numbers are numbers of that datatype, apart from their range."""
    return own.kind is to.kind or (own.kind is Kind.INTEGER and to.kind is Kind.FLOAT)


def _name_all(found: Mapping[Path, Any], mapping: TensorMapping) -> dict[Path, str]:
    """Names for more outputs than are declared."""
    try:
        names = name_paths(found) | mapping.output_names
    except NoTensors as error:
        raise ProtocolError(f"the answer of run() {error}", status=500) from error
    if len(set(names.values())) < len(names):
        raise ProtocolError("the answer of run() would have two tensors with the same name", status=500)
    return names


def _parse(payload: bytes) -> Any:
    try:
        return parse_json(payload)
    except ValueError as error:
        raise ProtocolError("the answer of run() is not JSON, so it holds no tensors", status=500) from error


def _unwrap(answer: Any, declared: Mapping[Path, Datatype]) -> Any:
    """What a script that returns ``json.dumps(…)`` meant, where its schema says that it is not a text."""
    if not isinstance(answer, str) or not declared or declared.get(()) is BYTES:
        return answer
    try:
        return parse_json(answer.encode())
    except ValueError:
        return answer


def _split(value: Any, path: Path, declared: Mapping[Path, Datatype]) -> Iterator[tuple[Path, Any]]:
    """The places of the answer that are one tensor each."""
    if len(path) > DEEPEST:
        raise ProtocolError("the answer of run() is nested too deeply for tensors", status=500)
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _split(member, (*path, key), declared)
    elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        yield from _split_rows(value, path)
    elif value == [] and path not in declared and any(place[:-1] == path for place in declared):
        yield from ((place, []) for place in declared if place[:-1] == path)  # a table without rows
    else:
        yield path, value


def _split_rows(rows: list[dict[str, Any]], path: Path) -> Iterator[tuple[Path, Any]]:
    columns = rows[0].keys()
    if any(row.keys() != columns for row in rows):
        raise ProtocolError("the answer of run() is no table: its rows have different keys", status=500)
    for column in columns:
        yield (*path, column), [row[column] for row in rows]

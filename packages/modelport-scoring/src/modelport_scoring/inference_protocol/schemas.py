"""The tensors that a JSON schema of ``inference_schema`` describes (reference, 5.11).

A schema becomes a tree of *parts*: what JSON has at that place, and the tensors (*leaves*) that hold it.

    an array of numbers, texts or booleans    one tensor of as many dimensions
    an array of objects (a table)             one tensor for each column, [-1]
    a number, a text, a boolean, bytes        one tensor, [1]
    an object                                 the tensors of its members

Three keys of its own a script may write into its schemas: ``x-tensor``: false leaves a part out, being another form of
one that is there; ``x-tensor-name`` names the tensor; ``x-tensor-labels`` names the classes whose numbers
an array holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelport_scoring.familiar_schemas import is_familiar_itself
from modelport_scoring.inference_protocol.datatypes import BOOL, BYTES, DATATYPES, FP32, FP64, INT64, Datatype

Path = tuple[str, ...]
"""The keys that lead to a place in the JSON."""

OUTPUT = "output"
"""The name of the one tensor that an answer is as a whole."""

NUMPY = "numpy.ndarray"
TABLE_PREFIX = "pandas.DataFrame:"
BASE64 = "byte"
DEEPEST = 32


class NoTensors(Exception):
    """The schema does not map to tensors; the message says why, to follow the name of what it describes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One tensor: its place, its datatype, and its shape, -1 where any size is taken."""

    path: Path
    datatype: Datatype
    shape: tuple[int, ...]
    takes_scalar: bool = False
    """A tensor without dimensions, for one of size 1."""
    name: str | None = None
    """The tensor's name, where that is not the last key."""
    labels: tuple[str, ...] = ()
    """Of the classes whose numbers a row holds, in their order."""


@dataclass(frozen=True, slots=True)
class ArrayPart:
    leaf: Leaf

    def leaves(self) -> Iterator[Leaf]:
        yield self.leaf


@dataclass(frozen=True, slots=True)
class ScalarPart:
    leaf: Leaf
    is_base64: bool

    def leaves(self) -> Iterator[Leaf]:
        yield self.leaf


@dataclass(frozen=True, slots=True)
class TablePart:
    path: Path
    columns: Mapping[str, Leaf]

    def leaves(self) -> Iterator[Leaf]:
        yield from self.columns.values()


@dataclass(frozen=True, slots=True)
class ObjectPart:
    members: Mapping[str, Part]
    optional: frozenset[str] = frozenset()
    """Members that a request may leave out."""

    def leaves(self) -> Iterator[Leaf]:
        for member in self.members.values():
            yield from member.leaves()


Part = ArrayPart | ScalarPart | TablePart | ObjectPart


def read_schema(schema: Any, *, path: Path = (), example: Any = None) -> Part:
    """The part that the schema describes. ``example`` is the sample it was made of. Raises NoTensors."""
    schema = _familiar(schema)
    if len(path) > DEEPEST:
        raise NoTensors("is nested too deeply")
    if schema.get("x-tensor") is False:
        raise NoTensors("is declared to be no tensor")
    kind = schema.get("type")
    if kind == "array":
        return _read_array(schema, path=path, example=example)
    if kind == "object":
        return _read_object(schema, path=path, example=example)
    datatype = _scalar_datatype(schema)
    return ScalarPart(Leaf(path, datatype, (1,), takes_scalar=True), is_base64=schema.get("format") == BASE64)


def _familiar(schema: Any) -> Mapping[str, Any]:
    """The same schema. Raises NoTensors where it is none that is understood."""
    if not is_familiar_itself(schema):
        raise NoTensors("has a schema of its parameter type's own making, of which no tensors can be read")
    return schema  # type: ignore[no-any-return]


def name_leaves(leaves: Iterable[Leaf]) -> dict[Path, str]:
    """The names of the tensors: those that they have themselves, and else those of ``name_paths``. Raises NoTensors."""
    known = list(leaves)
    names = name_paths(leaf.path for leaf in known) | {leaf.path: leaf.name for leaf in known if leaf.name}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise NoTensors(f'would have two tensors with the name "{twice[0]}"')
    return names


def name_paths(paths: Iterable[Path]) -> dict[Path, str]:
    """The name of the tensor at each place: the last key, or, where several have the same, all keys with dots between
    them. Raises NoTensors where even those are not unique."""
    places = list(paths)
    uses = Counter(path[-1] for path in places if path)
    names = {path: OUTPUT if not path else path[-1] if uses[path[-1]] == 1 else ".".join(path) for path in places}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise NoTensors(f'would have two tensors with the name "{twice[0]}"')
    return names


# --- arrays and tables ------------------------------------------------------------------------------------------------


def _read_array(schema: Mapping[str, Any], *, path: Path, example: Any) -> Part:
    items = _familiar(schema.get("items") or {})
    if items.get("type") == "object" and items.get("properties"):
        if schema.get("format") == NUMPY:
            raise NoTensors("is an array of records, which no tensor holds")
        return _read_table(items["properties"], path=path)
    declared = [_declared_size(schema)]
    while items.get("type") == "array":
        declared.append(_declared_size(items))
        items = _familiar(items.get("items") or {})
    is_numpy = schema.get("format") == NUMPY
    datatype = _scalar_datatype(items) if is_numpy else _sampled_datatype(items, example)
    if is_numpy or str(schema.get("format", "")).startswith(TABLE_PREFIX):
        declared = [-1, *_sizes(example, len(declared))[1:]]
    leaf = Leaf(path, datatype, tuple(declared), name=_read_name(schema), labels=_read_labels(schema))
    return ArrayPart(leaf)


def _read_name(schema: Mapping[str, Any]) -> str | None:
    name = schema.get("x-tensor-name")
    if not isinstance(name, str | None):
        raise NoTensors("has an x-tensor-name that is no text")
    return name


def _read_labels(schema: Mapping[str, Any]) -> tuple[str, ...]:
    labels = schema.get("x-tensor-labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise NoTensors("has x-tensor-labels that are no list of texts")
    return tuple(labels)


def _declared_size(schema: Mapping[str, Any]) -> int:
    """How many members an array has, where its schema leaves no choice; else -1."""
    most, least = schema.get("maxItems"), schema.get("minItems")
    return int(most) if most is not None and most == least else -1


def _read_table(columns: Mapping[str, Mapping[str, Any]], *, path: Path) -> TablePart:
    leaves: dict[str, Leaf] = {}
    for name, schema in columns.items():
        rank = 1
        try:
            schema = _familiar(schema)
            while schema.get("type") == "array":
                rank, schema = rank + 1, _familiar(schema.get("items") or {})
            leaves[name] = Leaf((*path, name), _scalar_datatype(schema), (-1,) * rank, takes_scalar=rank == 1)
        except NoTensors as error:
            raise NoTensors(f'has the column "{name}", which {error}') from error
    return TablePart(path, leaves)


def _sizes(example: Any, rank: int) -> tuple[int, ...]:
    """The sizes of the sample's dimensions; -1 where it does not tell."""
    sizes: list[int] = []
    for _ in range(rank):
        sizes.append(len(example) if isinstance(example, list) else -1)
        example = example[0] if isinstance(example, list) and example else None
    return tuple(sizes)


def _sampled_datatype(items: Mapping[str, Any], example: Any) -> Datatype:
    """The datatype of a list. Its schema tells the type of the last element only, the sample that of all."""
    kinds = set(map(type, _elements(example)))
    if kinds == {int, float}:
        return FP64
    if len(kinds) > 1:
        raise NoTensors("has elements of different types")
    return _scalar_datatype(items)


def _elements(example: Any) -> Iterator[Any]:
    if isinstance(example, list):
        for member in example:
            yield from _elements(member)
    elif example is not None:
        yield example


def _scalar_datatype(schema: Mapping[str, Any]) -> Datatype:
    kind, form = schema.get("type"), str(schema.get("format", ""))
    if kind == "integer":
        return DATATYPES.get(form.upper(), INT64)
    if kind == "number":
        return FP32 if form == "float" else FP64
    if kind == "boolean":
        return BOOL
    if kind == "string":
        return BYTES
    raise NoTensors(
        "has no type that a tensor can have" if kind is None else f'is of the type "{kind}", not a tensor\'s'
    )


# --- objects ----------------------------------------------------------------------------------------------------------


def _read_object(schema: Mapping[str, Any], *, path: Path, example: Any) -> ObjectPart:
    form = str(schema.get("format", ""))
    if form.startswith(TABLE_PREFIX):
        orient = form.removeprefix(TABLE_PREFIX)
        raise NoTensors(f'is a table with the orient "{orient}"; only "records" and "values" map to tensors')
    declared = schema.get("properties") or {}
    properties = {name: part for name, part in declared.items() if not _is_left_out(part)}
    if not properties:
        raise NoTensors("is an object without declared members")
    samples = example if isinstance(example, dict) else {}
    return ObjectPart(
        {name: _read_member(name, part, path=path, example=samples.get(name)) for name, part in properties.items()}
    )


def _is_left_out(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("x-tensor") is False


def _read_member(name: str, schema: Mapping[str, Any], *, path: Path, example: Any) -> Part:
    try:
        return read_schema(schema, path=(*path, name), example=example)
    except NoTensors as error:
        raise NoTensors(f'has the member "{name}", which {error}') from error

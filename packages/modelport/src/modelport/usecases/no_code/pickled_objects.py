"""What is in a pickle, read without running anything of it.

A pickle is a program. Here every name that it asks for is a stand-in that takes what it is given and does nothing, so
that what remains is the structure: which class an object has, and its state. joblib's files hold raw arrays between the
instructions of the pickle; they are passed over, and of each array type, shape and place are kept.

Source of the formats: Python's ``pickletools``, and ``numpy_pickle`` of joblib.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar

_LARGEST = 2 * 1024**3
"""Bytes that a compressed file may become."""
_COMPRESSED: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ", lzma.LZMAFile),
    (b"\x5d\x00\x00", lzma.LZMAFile),
)


class NoPickle(Exception):
    """The file is no pickle, or one that cannot be read here; the message completes "it …"."""


class Standin:
    """Something that a pickle made of a class or a function: its name, what it was called with, and its state."""

    module: ClassVar[str] = ""
    name: ClassVar[str] = ""

    arguments: tuple[Any, ...]
    state: Any
    items: list[Any]
    """What was put into it, where it derives from a list, a set or a dict."""

    def __new__(cls, *arguments: Any, **named: Any) -> Standin:
        self = super().__new__(cls)
        self.arguments, self.state, self.items = arguments, None, []
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """For a class that derives from list."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        self.items.extend(items)

    def add(self, item: Any) -> None:
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        """For a class that derives from dict."""
        self.items.append((key, value))

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def made_of(self) -> type[Standin]:
        """The class of the object: an old protocol has a function make it."""
        first = self.arguments[0] if self.arguments else None
        if self.name in ("_reconstructor", "__newobj__", "__newobj_ex__") and isinstance(first, type):
            return first
        return type(self)

    @property
    def fields(self) -> dict[str, Any]:
        """The attributes that the pickle gives the object."""
        state = self.state[0] if isinstance(self.state, tuple) and len(self.state) == 2 else self.state
        return state if isinstance(state, dict) else {}


@dataclass(frozen=True)
class ArrayFound:
    """An array: its type by NumPy's codes (``f8``, ``O``), its shape, and its elements where they are objects."""

    code: str
    shape: tuple[int, ...]
    elements: tuple[Any, ...] = ()


@dataclass(frozen=True)
class PickleFound:
    """A pickle's outermost object, and every name that the pickle asks for, as (module, name)."""

    root: Any
    names: frozenset[tuple[str, str]]

    @property
    def modules(self) -> set[str]:
        """The outermost packages of what it asks for."""
        return {module.split(".")[0] for module, _ in self.names}


def read_pickle(path: Path) -> PickleFound:
    """What the pickle holds, compressed by joblib or not. Raises NoPickle."""
    names: set[tuple[str, str]] = set()
    try:
        with path.open("rb") as file:
            root = _Reader(_inflated(file), names).load()
    except NoPickle:
        raise
    except Exception as error:  # a damaged pickle, or one of another kind, ends in whatever its instructions lead to
        raise NoPickle(f"is no pickle that can be read ({type(error).__name__}: {error})") from error
    return PickleFound(as_array(root), frozenset(names))


def _inflated(file: BinaryIO) -> IO[bytes]:
    """What the file holds, read through its compression. Raises NoPickle for one that is not known."""
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"\x04\x22\x4d\x18"):
        raise NoPickle("is compressed by LZ4, which cannot be looked into here")
    for magic, reader in _COMPRESSED:
        if start.startswith(magic):
            inflated: IO[bytes] = reader(file)
            return inflated
    if start[:1] == b"\x78" and start[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        inflater = zlib.decompressobj()
        content = inflater.decompress(file.read(), _LARGEST)
        if inflater.unconsumed_tail:
            raise NoPickle(f"becomes more than {_LARGEST} bytes")
        return io.BytesIO(content)
    return file


class _Reader(pickle._Unpickler):
    """Python's own reader of pickles, in which every name is a stand-in."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], names: set[tuple[str, str]]) -> None:
        super().__init__(file)
        self._source = file
        self._names = names
        self._classes: dict[tuple[str, str], type[Standin]] = {}

    def find_class(self, module: str, name: str) -> Any:
        key = (module, name)
        self._names.add(key)
        if key not in self._classes:
            self._classes[key] = type(name, (Standin,), {"module": module, "name": name})
        return self._classes[key]

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError(f"extension code {code}")

    def persistent_load(self, pid: Any) -> Any:
        return ("persistent", pid)

    def load_build(self) -> None:
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
        found = self.stack[-1]  # type: ignore[attr-defined]
        if isinstance(found, Standin) and found.name == "NumpyArrayWrapper":
            self.stack[-1] = self._raw_array(found)  # type: ignore[attr-defined]

    dispatch[pickle.BUILD[0]] = load_build

    def _raw_array(self, wrapper: Standin) -> ArrayFound:
        """The array that joblib wrote behind the wrapper."""
        fields = wrapper.fields
        code, size = _dtype(fields["dtype"])
        shape = tuple(int(length) for length in fields["shape"])
        if code == "O":
            elements = _Reader(self._source, self._names).load()
            found = as_array(elements)
            return ArrayFound("O", shape, found.elements if isinstance(found, ArrayFound) else ())
        if fields.get("numpy_array_alignment_bytes") is not None:
            self._source.read(self._source.read(1)[0])
        self._skip(size * reduce(lambda product, length: product * length, shape, 1))
        return ArrayFound(code, shape)

    def _skip(self, count: int) -> None:
        while count > 0:
            piece = self._source.read(min(count, 1 << 20))
            if not piece:
                raise EOFError("the file ends within an array")
            count -= len(piece)


def _dtype(found: Any) -> tuple[str, int]:
    """NumPy's code of an array's type, and the bytes of an element."""
    code = str(found.arguments[0]).lstrip("<>|=")
    digits = code.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    size = int(digits) if digits.isdigit() else 1
    if code.startswith("O"):
        return "O", 8
    if code.startswith("U"):
        size *= 4
    state = found.state if isinstance(found.state, tuple) else ()
    if len(state) > 5 and isinstance(state[5], int) and state[5] > 0:
        size = state[5]
    return code, size


def as_array(value: Any) -> Any:
    """The array, where the value is how a pickle makes one; else the value."""
    if not isinstance(value, Standin) or value.name not in ("_reconstruct", "ndarray", "_frombuffer"):
        return value
    if value.name == "_frombuffer" and len(value.arguments) >= 3:
        return ArrayFound(_dtype(value.arguments[1])[0], tuple(value.arguments[2]))
    state = value.state
    if not isinstance(state, tuple) or len(state) < 5:
        return value
    _, shape, dtype, _, content = state[:5]
    code = _dtype(dtype)[0]
    return ArrayFound(code, tuple(shape), tuple(content) if code == "O" and isinstance(content, list) else ())


def parts_of(value: Any, *, depth: int = 12) -> Iterator[Standin]:
    """Every object inside, the value itself first."""
    if depth < 0:
        return
    if isinstance(value, Standin):
        yield value
        inside: Any = [*value.fields.values(), *value.items, *value.arguments]
    elif isinstance(value, dict):
        inside = value.values()
    else:
        inside = value if isinstance(value, list | tuple) else ()
    for part in inside:
        yield from parts_of(part, depth=depth - 1)

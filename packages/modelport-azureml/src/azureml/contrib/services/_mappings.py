"""The mappings of HTTP: headers, whose names have no case, and fields, of which there may be several of one name."""

import re
from copy import deepcopy
from itertools import chain
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    MutableMapping,
    Optional,
    Tuple,
    TypeVar,
    Union,
    overload,
)

T = TypeVar("T")
V = TypeVar("V")

breaks_line = re.compile("[\r\n\0]").search
is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z").match
QUOTABLE = re.compile(r'["\\]')


class Headers(MutableMapping[str, str]):
    """Headers in their order. A name may occur several times; its case does not matter when it is looked up.

    Going through it gives pairs, as with the request of v1's server: ``for name, value in request.headers``.
    A value with a line break is refused with ValueError: it would be a second header, or a second response. So is one
    with a NUL.
    """

    def __init__(self, pairs: Iterable[Tuple[str, str]] = ()) -> None:
        self._pairs: List[Tuple[str, str]] = [(name, str(value)) for name, value in pairs]
        if pairs and breaks_line("".join(chain.from_iterable(self._pairs))):
            for name, text in self._pairs:
                refuse_line_break(name, text)

    @classmethod
    def of_one(cls, name: str, value: str) -> "Headers":
        """One header, which has no line break."""
        made = cls.__new__(cls)  # each response is made by this
        made._pairs = [(name, value)]
        return made

    def add(self, name: str, value: Any, **parameters: Any) -> None:
        """One more header, also where there is one of the name. ``parameters`` stand behind the value, after ``;``."""
        text = str(value) + "".join(map(parameter_text, parameters.items()))
        refuse_line_break(name, text)
        self._pairs.append((name, text))

    add_header = add

    def set(self, name: str, value: Any, **parameters: Any) -> None:
        """The header in the place of those of its name."""
        Headers().add(name, value, **parameters)  # refused before the old one is gone
        self._remove(name)
        self.add(name, value, **parameters)

    def setlist(self, name: str, values: Iterable[Any]) -> None:
        """A header for each value in the place of those of its name."""
        fresh = Headers([(name, value) for value in values])
        self._remove(name)
        self._pairs.extend(fresh.items())

    def extend(self, *given: Any, **more: Any) -> None:
        """One more header for each; a value that is a list or a tuple is one for each member."""
        for name, value in chain(*map(pairs_of, given), more.items()):
            for one in value if isinstance(value, (list, tuple)) else (value,):
                self.add(name, one)

    @overload
    def get(self, name: Any) -> Optional[str]: ...
    @overload
    def get(self, name: Any, default: T) -> Union[str, T]: ...
    @overload
    def get(self, name: Any, default: Any = None, *, type: Callable[[str], T]) -> Optional[T]: ...
    def get(self, name: Any, default: Any = None, type: Optional[Callable[[str], Any]] = None) -> Any:
        """The first value, through ``type``; ``default`` where there is none or ``type`` does not take it."""
        values = self.getlist(name) if isinstance(name, str) else []
        return converted(values[0], type, default) if values else default

    def getlist(self, name: str, type: Optional[Callable[[str], Any]] = None) -> List[Any]:
        """Every value of a name, in order; without those that ``type`` does not take."""
        wanted = name.lower()
        return all_converted([value for found, value in self._pairs if found.lower() == wanted], type)

    get_all = getlist

    def __getitem__(self, name: str) -> str:
        values = self.getlist(name)
        if not values:
            raise KeyError(name)
        first: str = values[0]
        return first

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self._remove(name)

    def remove(self, name: str) -> None:
        """Take out every header of the name, if there is one; so does ``del``."""
        self._remove(name)

    def _remove(self, name: str) -> None:
        wanted = name.lower()
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != wanted]

    def __iter__(self) -> Iterator[Tuple[str, str]]:  # type: ignore[override]
        return iter(list(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.getlist(name))

    has_key = __contains__

    def keys(self, lower: bool = False) -> List[str]:  # type: ignore[override]
        return [name for name, _ in self.items(lower)]

    def items(self, lower: bool = False) -> List[Tuple[str, str]]:  # type: ignore[override]
        """Every header, repeated names too; ``lower``: with names in small letters."""
        return [(name.lower(), value) for name, value in self._pairs] if lower else list(self._pairs)

    def to_wsgi_list(self) -> List[Tuple[str, str]]:
        return self.items()

    def copy(self) -> "Headers":
        return Headers(self._pairs)

    def values(self) -> List[str]:  # type: ignore[override]
        return [value for _, value in self._pairs]

    def popitem(self) -> Tuple[str, str]:
        """Take out the last header. Raises KeyError where there is none."""
        if not self._pairs:
            raise KeyError("no header is left")
        return self._pairs.pop()

    def clear(self) -> None:
        self._pairs = []

    def update(self, *pairs: Any, **more: Any) -> None:
        """Each header in the place of those of its name; a value that is a list or a tuple is one for each member."""
        for name, value in chain(*map(lists_of, pairs), more.items()):
            self.setlist(name, value if isinstance(value, (list, tuple)) else (value,))

    def __ior__(self, given: Any) -> "Headers":
        self.update(given)
        return self

    def __str__(self) -> str:
        """As they stand in a request or a response."""
        return "".join("{}: {}\r\n".format(*pair) for pair in self._pairs) + "\r\n"

    def __repr__(self) -> str:
        return "Headers({!r})".format(self._pairs)


def refuse_line_break(name: str, text: str) -> None:
    found = breaks_line(name + text)
    if found is not None:
        what = "NUL" if found.group() == "\0" else "line break"
        raise ValueError("The header {!r} holds a {}: {!r}".format(name, what, text))


def parameter_text(parameter: Tuple[str, Any]) -> str:
    """``; name=value``, quoted where the value is no token; a name alone where the value is None."""
    name, value = parameter[0].replace("_", "-"), parameter[1]
    if value is None:
        return "; " + name
    return "; {}={}".format(name, quoted(str(value)))


def quoted(text: str) -> str:
    """In quotes where it is no token."""
    return text if is_token(text) else '"{}"'.format(QUOTABLE.sub(r"\\\g<0>", text))


def pairs_of(given: Any) -> Any:
    """The pairs of a mapping, each of its values where it holds several, or of an iterable of pairs."""
    if isinstance(given, Fields):
        return given.items(multi=True)
    return given.items() if hasattr(given, "items") else given


def lists_of(given: Any) -> Any:
    """As ``pairs_of``, with one pair for a name whose values are several: they stand together in its place."""
    if isinstance(given, Fields):
        return given.lists()
    if isinstance(given, Headers):
        return [(name, given.getlist(name)) for name, _ in given]
    return pairs_of(given)


def converted(value: Any, kind: Optional[Callable[[Any], Any]], default: Any) -> Any:
    try:
        return value if kind is None else kind(value)
    except (ValueError, TypeError):
        return default


def all_converted(values: List[Any], kind: Optional[Callable[[Any], Any]]) -> List[Any]:
    missing = object()
    return [value for value in (converted(value, kind, missing) for value in values) if value is not missing]


class Fields(Dict[str, V]):
    """A dict of the first value of each name; ``getlist`` gives all."""

    def __init__(self, pairs: Iterable[Tuple[str, V]] = ()) -> None:
        super().__init__()
        self._all: Dict[str, List[V]] = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)
            self.setdefault(name, value)

    def __setitem__(self, name: str, value: V) -> None:
        """The one value of the name from now on."""
        super().__setitem__(name, value)
        self._all[name] = [value]

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        del self._all[name]

    def get(self, key: str, default: Any = None, type: Optional[Callable[[V], Any]] = None) -> Any:
        """The first value, through ``type``; ``default`` where there is none or ``type`` does not take it."""
        return converted(self[key], type, default) if key in self else default

    def getlist(self, key: str, type: Optional[Callable[[V], Any]] = None) -> List[Any]:
        """Every value of a name, in order; without those that ``type`` does not take."""
        return all_converted(self._all.get(key, []), type)

    def items(self, multi: bool = False) -> Any:
        """Name and first value; ``multi``: name and value of each, those of a name behind one another."""
        if not multi:
            return super().items()
        return [(name, value) for name, values in self._all.items() for value in values]

    def lists(self) -> List[Tuple[str, List[V]]]:
        """Each name with all its values."""
        return [(name, list(values)) for name, values in self._all.items()]

    def listvalues(self) -> List[List[V]]:
        return [values for _, values in self.lists()]

    def copy(self) -> "Fields[V]":
        return Fields(self.items(multi=True))

    __copy__ = copy

    def deepcopy(self, memo: Any = None) -> "Fields[V]":
        return Fields(deepcopy(self.items(multi=True), memo))

    __deepcopy__ = deepcopy

    def to_dict(self, flat: bool = True) -> Dict[str, Any]:
        return dict(self) if flat else dict(self.lists())

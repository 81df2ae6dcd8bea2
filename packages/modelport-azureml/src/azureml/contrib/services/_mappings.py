"""The mappings of HTTP: headers, whose names have no case, and fields, of which there may be several of one name."""

import re
from itertools import chain
from typing import Any, Callable, Dict, Iterable, Iterator, List, MutableMapping, Optional, Tuple, TypeVar

V = TypeVar("V")

breaks_line = re.compile("[\r\n\0]").search


class Headers(MutableMapping[str, str]):
    """Headers in their order. A name may occur several times; its case does not matter when it is looked up.

    Going through it gives pairs, as with the request of v1's server: ``for name, value in request.headers``.
    A value with a line break is refused with ValueError: it would be a second header, or a second response.
    """

    def __init__(self, pairs: Iterable[Tuple[str, str]] = ()) -> None:
        self._pairs: List[Tuple[str, str]] = [(name, str(value)) for name, value in pairs]
        if breaks_line("".join(chain.from_iterable(self._pairs))):
            for name, text in self._pairs:
                refuse_line_break(name, text)

    def add(self, name: str, value: Any) -> None:
        """One more header, also where there is one of the name."""
        text = str(value)
        refuse_line_break(name, text)
        self._pairs.append((name, text))

    def getlist(self, name: str) -> List[str]:
        """Every value of a name, in order."""
        wanted = name.lower()
        return [value for found, value in self._pairs if found.lower() == wanted]

    def __getitem__(self, name: str) -> str:
        values = self.getlist(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __setitem__(self, name: str, value: Any) -> None:
        Headers([(name, value)])  # refused before the old one is gone
        self._remove(name)
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        if not self.getlist(name):
            raise KeyError(name)
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

    def keys(self) -> List[str]:  # type: ignore[override]
        return [name for name, _ in self._pairs]

    def items(self) -> List[Tuple[str, str]]:  # type: ignore[override]
        """Every header, repeated names too."""
        return list(self._pairs)

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
        """Each header in the place of those of its name."""
        for name, value in dict(*pairs, **more).items():
            self[name] = value

    def __repr__(self) -> str:
        return "Headers({!r})".format(self._pairs)


def refuse_line_break(name: str, text: str) -> None:
    if breaks_line(name + text):
        raise ValueError("The header {!r} holds a line break: {!r}".format(name, text))


class Fields(Dict[str, V]):
    """A dict of the first value of each name; ``getlist`` gives all."""

    def __init__(self, pairs: Iterable[Tuple[str, V]] = ()) -> None:
        super().__init__()
        self._all: Dict[str, List[V]] = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)
            self.setdefault(name, value)

    def get(self, key: str, default: Any = None, type: Optional[Callable[[V], Any]] = None) -> Any:
        """The first value, through ``type``; ``default`` where there is none or ``type`` raises ValueError."""
        if key not in self:
            return default
        try:
            return self[key] if type is None else type(self[key])
        except ValueError:
            return default

    def getlist(self, key: str) -> List[V]:
        """Every value of a name, in order."""
        return list(self._all.get(key, []))

    def to_dict(self, flat: bool = True) -> Dict[str, Any]:
        return dict(self) if flat else {key: list(values) for key, values in self._all.items()}

"""Values of single headers, as Flask's response has them: sets of names, the directives of Cache-Control, dates."""

import re
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Union

from azureml.contrib.services._mappings import Headers, quoted

QUOTED = r'"(?:[^"\\]|\\.)*"'
CLOSED = re.compile(r'(?:[^"]|{})*'.format(QUOTED))
QUOTED_OR_COMMA = re.compile(QUOTED + "|,")

ESCAPED = re.compile(r"\\(.)")

FLAGS = ("no_store", "no_transform", "must_revalidate", "must_understand", "proxy_revalidate", "public", "immutable")
"""Directives of Cache-Control that have no value."""

SECONDS = ("max_age", "s_maxage", "stale_while_revalidate", "stale_if_error")
"""Those whose value is a whole number."""


def members(text: str) -> List[str]:
    """The members of a list between commas, which may stand in quotes too, without the white space around them."""
    ends = [*commas(text), len(text)]
    starts = [0, *(end + 1 for end in ends)]
    return [member for member in (text[start:end].strip() for start, end in zip(starts, ends)) if member]


def commas(text: str) -> Iterator[int]:
    """The places of those that are not in quotes.

    Behind a quotation mark that nothing closes, nothing closes any other one: to look for that again and again would
    take half a minute where a client sends 64 KB of them.
    """
    closed = CLOSED.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    for found in QUOTED_OR_COMMA.finditer(text, 0, closed):
        if found.group() == ",":
            yield found.start()
    for place in range(closed, len(text)):
        if text[place] == ",":
            yield place


def unquoted(text: str) -> str:
    return ESCAPED.sub(r"\1", text[1:-1]) if len(text) > 1 and text[0] == text[-1] == '"' else text


def joined(names: Union[str, Iterable[str]]) -> Optional[str]:
    """The names as a header has them; None where there are none."""
    return (names if isinstance(names, str) else ", ".join(map(quoted, names))) or None


class NameSet:
    """The names in a header of the response; what is changed here is changed there. Their case does not matter."""

    def __init__(self, headers: Headers, name: str) -> None:
        self._headers = headers
        self._name = name

    def _names(self) -> List[str]:
        return [unquoted(name) for name in members(",".join(self._headers.getlist(self._name)))]

    def _keep(self, names: List[str]) -> None:
        text = joined(names)
        if text is None:
            self._headers.remove(self._name)
        else:
            self._headers[self._name] = text

    def add(self, name: str) -> None:
        self.update([name])

    def update(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self:
                self._keep([*self._names(), name])

    def discard(self, name: str) -> None:
        self._keep([kept for kept in self._names() if kept.lower() != name.lower()])

    def remove(self, name: str) -> None:
        """Raises KeyError where it is not there."""
        if name not in self:
            raise KeyError(name)
        self.discard(name)

    def clear(self) -> None:
        self._keep([])

    def find(self, name: str) -> int:
        """Its place, or -1."""
        lower = [kept.lower() for kept in self._names()]
        return lower.index(name.lower()) if name.lower() in lower else -1

    def index(self, name: str) -> int:
        """Its place. Raises IndexError where it is not there."""
        place = self.find(name)
        if place < 0:
            raise IndexError(name)
        return place

    def as_set(self, preserve_casing: bool = False) -> Set[str]:
        return {name if preserve_casing else name.lower() for name in self._names()}

    def to_header(self) -> str:
        return joined(self._names()) or ""

    __str__ = to_header

    def __getitem__(self, place: int) -> str:
        return self._names()[place]

    def __delitem__(self, place: int) -> None:
        names = self._names()
        del names[place]
        self._keep(names)

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self.as_set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


class CacheControl:
    """The directives of a response's Cache-Control, by names with ``_``: True for one without a value, None, False or
    ``del`` take it out."""

    def __init__(self, headers: Headers) -> None:
        vars(self)["_headers"] = headers

    def _directives(self) -> Dict[str, Optional[str]]:
        parts = [part.partition("=") for part in members(vars(self)["_headers"].get("Cache-Control", ""))]
        return {name.strip().lower(): unquoted(value.strip()) if equals else None for name, equals, value in parts}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found, key = self._directives(), name.replace("_", "-")
        if name in FLAGS:
            return key in found
        if key not in found:
            return None
        value = found[key]
        return True if value is None else int(value) if value.isdigit() else value

    def __setattr__(self, name: str, value: Any) -> None:
        directives, key = self._directives(), name.replace("_", "-")
        directives.pop(key, None)
        if name in FLAGS:
            value = bool(value)
        if value is not None and value is not False:
            directives[key] = None if value is True else str(int(value) if name in SECONDS else value)
        headers = vars(self)["_headers"]
        if directives:
            headers["Cache-Control"] = ", ".join(
                key if value is None else "{}={}".format(key, quoted(value)) for key, value in directives.items()
            )
        else:
            headers.remove("Cache-Control")

    def __delattr__(self, name: str) -> None:
        setattr(self, name, None)


def http_date(moment: Union[date, float, str]) -> str:
    """A date as headers have it: of a ``datetime``, which is UTC where it says nothing, of a day, or of seconds since
    1970."""
    if isinstance(moment, str):
        return moment
    if not isinstance(moment, date):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    elif not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return format_datetime(aware.astimezone(timezone.utc), usegmt=True)


def retry_after(moment: Union[datetime, int, str]) -> str:
    """Seconds, or a date."""
    return http_date(moment) if isinstance(moment, datetime) else str(moment)


def read_retry_after(value: str) -> datetime:
    if value.isdigit():
        return datetime.now(timezone.utc) + timedelta(seconds=int(value))
    return parsedate_to_datetime(value)


def age(moment: Union[timedelta, float, str]) -> str:
    """Whole seconds."""
    return str(int(moment.total_seconds() if isinstance(moment, timedelta) else moment))


def read_age(value: str) -> timedelta:
    return timedelta(seconds=int(value))


def entity_tag(name: str, *, weak: bool) -> str:
    """Raises ValueError where it holds what would end it."""
    if '"' in name:
        raise ValueError("An ETag has no quotation marks in it, as {!r} has.".format(name))
    return '{}"{}"'.format("W/" if weak else "", name)


def read_entity_tag(text: str) -> Any:
    """The ETag, and whether it is a weak one."""
    weak = text.startswith(("W/", "w/"))
    return unquoted(text[2 * weak :]), weak

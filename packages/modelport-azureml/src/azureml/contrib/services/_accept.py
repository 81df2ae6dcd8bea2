"""What a client accepts, as Flask's request tells it: the headers Accept, Accept-Language, Accept-Charset and
Accept-Encoding."""

import codecs
import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from azureml.contrib.services._header_values import members
from azureml.contrib.services._mappings import quoted
from azureml.contrib.services._multipart import read_parameters

QUALITY = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
TAG_BREAK = re.compile("[-_]")
SPACE_BEFORE_SEMICOLON = re.compile(r"(?<!\s)\s+(?=;)")
MIME_BREAK = re.compile(r"/|;\s*")

Choice = Tuple[str, float]


class Accept:
    """The values that a client accepts, and how much it wants each, from 0 to 1: the more specific first, so that ``*``
    comes last, and of these the one it wants more."""

    def __init__(self, choices: Union[str, Iterable[Choice]]) -> None:
        self.provided = bool(choices)
        given = read_choices(choices) if isinstance(choices, str) else choices
        self._choices = sorted(given, key=lambda choice: (self._specificity(choice[0]), choice[1]), reverse=True)

    def _specificity(self, choice: str) -> Tuple[bool, ...]:
        return (choice != "*",)

    def _covers(self, choice: str, value: str) -> bool:
        return choice == "*" or choice.lower() == value.lower()

    @property
    def best(self) -> Optional[str]:
        return self._choices[0][0] if self._choices else None

    def values(self) -> Iterator[str]:
        return (value for value, _ in self._choices)

    def _first(self, value: str) -> Optional[Choice]:
        """The first choice that covers it."""
        return next((choice for choice in self._choices if self._covers(choice[0], value)), None)

    def quality(self, key: str) -> float:
        """How much the client wants it; 0 where it does not."""
        choice = self._first(key)
        return 0 if choice is None else choice[1]

    def find(self, key: Union[str, Choice]) -> int:
        """The place of the first choice that covers it, or -1."""
        try:
            return self.index(key)
        except ValueError:
            return -1

    def index(self, key: Union[str, Choice]) -> int:
        """As ``find``. Raises ValueError where there is none."""
        choice = self._first(key) if isinstance(key, str) else key
        if choice is None:
            raise ValueError(key)
        return self._choices.index(choice)

    def best_match(self, matches: Iterable[str], default: Optional[str] = None) -> Optional[str]:
        """The one of them that the client wants most; of equals the one that it names more precisely, or else the
        first; ``default`` where it wants none."""
        best, best_rank = default, (0.0, ())  # type: Optional[str], Tuple[float, Tuple[bool, ...]]
        for match in matches:
            choice = self._first(match)
            if choice is not None and choice[1] > 0:
                rank = (choice[1], self._specificity(choice[0]))
                if rank > best_rank:
                    best, best_rank = match, rank
        return best

    def to_header(self) -> str:
        return ",".join(value if quality == 1 else "{};q={}".format(value, quality) for value, quality in self)

    __str__ = to_header

    def __getitem__(self, key: Any) -> Any:
        """The choice and its quality by its place; the quality of a value."""
        return self.quality(key) if isinstance(key, str) else self._choices[key]

    def __contains__(self, key: str) -> bool:
        return self._first(key) is not None

    def __iter__(self) -> Iterator[Choice]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __repr__(self) -> str:
        return "{}({!r})".format(type(self).__name__, self._choices)


class MIMEAccept(Accept):
    """Content types, which a client may leave open in part: ``text/*``."""

    def _specificity(self, choice: str) -> Tuple[bool, ...]:
        return tuple(part != "*" for part in mime_parts(choice))

    def _covers(self, choice: str, value: str) -> bool:
        if "/" not in choice:
            return False
        if "/" not in value:
            raise ValueError("invalid mimetype {!r}".format(value))
        (kind, subtype, *parameters), wanted = mime_parts(value), mime_parts(choice)
        if kind == "*" and subtype != "*":
            raise ValueError("invalid mimetype {!r}".format(value))
        if wanted[0] == "*" or kind == "*":
            return wanted[1] == "*" or (kind == "*" and wanted[0] != "*")
        if wanted[0] != kind:
            return False
        return "*" in (wanted[1], subtype) or (wanted[1] == subtype and sorted(wanted[2:]) == sorted(parameters))

    @property
    def accept_html(self) -> bool:
        return "text/html" in self or self.accept_xhtml

    @property
    def accept_xhtml(self) -> bool:
        return "application/xhtml+xml" in self or "application/xml" in self

    @property
    def accept_json(self) -> bool:
        return "application/json" in self


class LanguageAccept(Accept):
    """Languages, with regions or without: ``en-GB``."""

    def _covers(self, choice: str, value: str) -> bool:
        return choice == "*" or TAG_BREAK.split(choice.lower()) == TAG_BREAK.split(value.lower())

    def best_match(self, matches: Iterable[str], default: Optional[str] = None) -> Optional[str]:
        """As for all; where the client wants none of them as it is, one for its language without the region, or one
        whose own region is left out."""
        offered = list(matches)
        best = super().best_match(offered)
        if best is None:
            best = Accept([(language_of(choice), quality) for choice, quality in self]).best_match(offered)
        if best is None:
            language = super().best_match(map(language_of, offered))
            best = None if language is None else next(match for match in offered if match.startswith(language))
        return default if best is None else best


class CharsetAccept(Accept):
    """Encodings of text, which have several names each."""

    def _covers(self, choice: str, value: str) -> bool:
        return choice == "*" or encoding_name(choice) == encoding_name(value)


def read_choices(header: str) -> List[Choice]:
    """The choices and their qualities, 1 where none is told. One whose quality is none is left out."""
    return [choice for choice in map(read_choice, members(header)) if choice is not None]


def read_choice(text: str) -> Optional[Choice]:
    value, _, rest = text.partition(";")
    parameters = read_parameters(";" + rest)[1]
    told = parameters.pop("q", None)
    if told is not None and not (QUALITY.match(told.strip()) and 0 <= float(told) <= 1):
        return None
    texts = ["{}={}".format(name, quoted(parameter)) for name, parameter in parameters.items()]
    return "; ".join([value.strip(), *texts]), 1 if told is None else float(told)


def mime_parts(value: str) -> List[str]:
    return MIME_BREAK.split(SPACE_BEFORE_SEMICOLON.sub("", value.lower()))


def language_of(tag: str) -> str:
    return TAG_BREAK.split(tag, 1)[0]


def encoding_name(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name.lower()


ACCEPTED: Dict[str, Tuple[str, Callable[[str], Accept]]] = {
    "accept_charsets": ("Accept-Charset", CharsetAccept),
    "accept_encodings": ("Accept-Encoding", Accept),
    "accept_languages": ("Accept-Language", LanguageAccept),
    "accept_mimetypes": ("Accept", MIMEAccept),
}
"""The attributes of a request, and what they are made of."""

"""What Flask's request makes of single headers, for scripts whose environment has no Werkzeug."""

import base64
import re
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Iterator, List, Optional, Tuple

from azureml.contrib.services._mappings import Headers

QUALITY = re.compile(r";[ \t]*q[ \t]*=[ \t]*([0-9.]{1,8})", re.IGNORECASE)

TEXTS = {
    "access_control_request_method": "Access-Control-Request-Method",
    "content_md5": "Content-MD5",
}
DATES = {
    "date": "Date",
    "if_modified_since": "If-Modified-Since",
    "if_unmodified_since": "If-Unmodified-Since",
}
ACCEPTED = {
    "accept_charsets": "Accept-Charset",
    "accept_encodings": "Accept-Encoding",
    "accept_languages": "Accept-Language",
    "accept_mimetypes": "Accept",
}


class Accept:
    """The values that a client accepts, the best first, and how much it wants each, from 0 to 1."""

    def __init__(self, header: Optional[str]) -> None:
        given = [read_choice(choice) for choice in (header or "").split(",") if choice.strip()]
        self._choices = sorted(given, key=lambda choice: -choice[1])

    @property
    def best(self) -> Optional[str]:
        return self._choices[0][0] if self._choices else None

    def values(self) -> Iterator[str]:
        return (value for value, _ in self._choices)

    def quality(self, value: str) -> float:
        """How much the client wants it: by the choice that says most of it, so that ``*`` comes last."""
        found = [(precision(choice), quality) for choice, quality in self._choices if covers(choice, value)]
        return max(found)[1] if found else 0.0

    __getitem__ = quality

    def best_match(self, matches: Any, default: Optional[str] = None) -> Optional[str]:
        """The one of them that the client wants most, the first among equals; ``default`` where it wants none."""
        wanted = [(self.quality(match), -index, match) for index, match in enumerate(matches)]
        best = max(wanted, default=(0.0, 0, default))
        return best[2] if best[0] > 0 else default

    @property
    def accept_html(self) -> bool:
        return "text/html" in self or self.accept_xhtml

    @property
    def accept_xhtml(self) -> bool:
        return "application/xhtml+xml" in self or "application/xml" in self

    @property
    def accept_json(self) -> bool:
        return "application/json" in self

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.quality(value) > 0

    def __iter__(self) -> Iterator[Tuple[str, float]]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __str__(self) -> str:
        return ",".join(value if quality == 1 else "{};q={:g}".format(value, quality) for value, quality in self)

    def __repr__(self) -> str:
        return "Accept({!r})".format(self._choices)


def read_choice(text: str) -> Tuple[str, float]:
    """A value and its quality; one that cannot be read counts as 1."""
    found = QUALITY.search(text)
    value = text if found is None else text[: found.start()] + text[found.end() :]
    try:
        quality = 1.0 if found is None else min(float(found.group(1)), 1.0)
    except ValueError:
        quality = 1.0
    return value.strip(), quality


def covers(choice: str, value: str) -> bool:
    """Whether the choice of a client is that value, ``*``, ``text/*``, or, of languages, one with a region or without
    where the other is the opposite."""
    choice, value = choice.lower(), value.lower()
    if choice in (value, "*", "*/*"):
        return True
    if choice.endswith("/*"):
        return value.startswith(choice[:-1])
    return "/" not in choice and re.split("[-_]", choice)[0] == re.split("[-_]", value)[0]


def precision(choice: str) -> int:
    return 0 if choice in ("*", "*/*") else 1 if choice.endswith("/*") else 2


class Authorization:
    """An Authorization header: ``type`` in small letters, ``token``, and of Basic ``username`` and ``password``."""

    def __init__(self, header: str) -> None:
        kind, _, rest = header.partition(" ")
        self.type = kind.lower()
        self.username: Optional[str] = None
        self.password: Optional[str] = None
        self.token: Optional[str] = None
        if self.type == "basic":
            self.username, _, self.password = base64.b64decode(rest).decode("utf-8").partition(":")
        else:
            self.token = rest.strip()
        self._header = header

    @property
    def parameters(self) -> Dict[str, Optional[str]]:
        return {"username": self.username, "password": self.password} if self.type == "basic" else {}

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def to_header(self) -> str:
        return self._header

    def __repr__(self) -> str:
        return "<Authorization {}>".format(self.type)


class UserAgent:
    """A User-Agent header: its text."""

    platform = browser = version = language = None
    """As with Flask from 2.1 on, nobody guesses these."""

    def __init__(self, header: str) -> None:
        self.string = header

    def to_header(self) -> str:
        return self.string

    def __bool__(self) -> bool:
        return bool(self.string)

    def __str__(self) -> str:
        return self.string


def detail(name: str, headers: Headers) -> Any:
    """What Flask's request has by that name. Raises AttributeError where it is none of these."""
    if name in TEXTS:
        return headers.get(TEXTS[name])
    if name in DATES:
        return read_date(headers.get(DATES[name]))
    if name in ACCEPTED:
        return Accept(", ".join(headers.getlist(ACCEPTED[name])))
    if name == "authorization":
        return read_authorization(headers.get("Authorization"))
    if name == "user_agent":
        return UserAgent(headers.get("User-Agent", ""))
    if name == "access_control_request_headers":
        return read_names(headers.get("Access-Control-Request-Headers"))
    if name == "max_forwards":
        return headers.get("Max-Forwards", type=int)
    raise AttributeError(name)


def read_authorization(header: Optional[str]) -> Optional[Authorization]:
    """None where there is none, or one that cannot be read."""
    try:
        return Authorization(header) if header else None
    except ValueError:
        return None


def read_names(header: Optional[str]) -> Optional[List[str]]:
    return None if header is None else [name.strip() for name in header.split(",") if name.strip()]


def read_date(header: Optional[str]) -> Any:
    """A ``datetime`` of UTC; None where there is none, or one that cannot be read."""
    try:
        return parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError):
        return None

"""What Flask's request makes of single headers, for scripts whose environment has no Werkzeug."""

import base64
from email.utils import parsedate_to_datetime
from typing import Any, Dict, List, Optional

from azureml.contrib.services._accept import ACCEPTED
from azureml.contrib.services._header_values import members, unquoted
from azureml.contrib.services._mappings import Headers, quoted

TEXTS = {
    "access_control_request_method": "Access-Control-Request-Method",
    "content_md5": "Content-MD5",
}
DATES = {
    "date": "Date",
    "if_modified_since": "If-Modified-Since",
    "if_unmodified_since": "If-Unmodified-Since",
}


class Authorization:
    """An Authorization header: ``type`` in small letters, and a ``token`` or ``parameters``, which are attributes and
    keys too: ``username`` and ``password`` of Basic, those that are told of others. What is not there is None."""

    def __init__(
        self, auth_type: str, data: Optional[Dict[str, Optional[str]]] = None, token: Optional[str] = None
    ) -> None:
        self.type = auth_type
        self.parameters: Dict[str, Optional[str]] = {} if data is None else data
        self.token = token

    @classmethod
    def from_header(cls, header: str) -> "Authorization":
        """Raises ValueError where it cannot be read."""
        kind, _, rest = header.partition(" ")
        kind, rest = kind.lower(), rest.strip()
        if kind == "basic":
            name, _, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
            return cls(kind, {"username": name, "password": password})
        if "=" not in rest.rstrip("="):
            return cls(kind, None, rest)
        pairs = (member.partition("=") for member in members(rest))
        told = {name.strip(): unquoted(value.strip()) if equals else None for name, equals, value in pairs}
        return cls(kind, told)

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.parameters.get(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return vars(self).get("parameters", {}).get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.parameters

    def to_header(self) -> str:
        if self.type == "basic":
            pair = "{}:{}".format(self.username, self.password)
            return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
        if self.token is not None:
            return "{} {}".format(self.type.title(), self.token)
        told = (
            name if value is None else "{}={}".format(name, quoted(value)) for name, value in self.parameters.items()
        )
        return "{} {}".format(self.type.title(), ", ".join(told))

    __str__ = to_header

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
        header, kind = ACCEPTED[name]
        return kind(", ".join(headers.getlist(header)))
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
        return Authorization.from_header(header) if header else None
    except ValueError:
        return None


def read_names(header: Optional[str]) -> Optional[List[str]]:
    return None if header is None else [name.strip() for name in header.split(",") if name.strip()]


def read_date(header: Optional[str]) -> Any:
    """A ``datetime`` of UTC; None where there is none, or one that cannot be read."""
    try:
        return parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError, OverflowError):  # the last for a year of many digits
        return None

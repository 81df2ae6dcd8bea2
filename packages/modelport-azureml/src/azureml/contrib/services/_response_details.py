"""What Flask's response has beside status, headers and body, for scripts that do not use Flask: all of it is kept in
the headers."""

import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Union

from azureml.contrib.services._mappings import Headers

TEXT_LIKE = re.compile(r"text/|.*\+xml\Z|application/(?:ecmascript|javascript|sql|xml(?:-[a-z-]+)?)\Z")
"""Types to which Flask adds ``charset=utf-8``."""

NEEDS_QUOTES = re.compile(r"[^\w!#$%&'()*+./:<=>?@^`{|}~\[\]-]", re.ASCII)
NEEDS_ESCAPE = re.compile(rb'[\x00-\x1f",;\\\x7f-\xff]')


class HeaderField:
    """An attribute that is a header of the response; None where there is none, and None takes it out."""

    def __init__(
        self, name: str, *, read: Callable[[str], Any] = str, write: Callable[[Any], Optional[str]] = str
    ) -> None:
        self._name = name
        self._read = read
        self._write = write

    def __get__(self, response: Any, owner: Any = None) -> Any:
        if response is None:
            return self
        value = response.headers.get(self._name)
        try:
            return None if value is None else self._read(value)
        except (ValueError, TypeError):
            return None

    def __set__(self, response: Any, value: Any) -> None:
        text = None if value is None else self._write(value)
        if text is None:
            response.headers.remove(self._name)
        else:
            response.headers[self._name] = text

    def __delete__(self, response: Any) -> None:
        response.headers.remove(self._name)


class NameSetField(HeaderField):
    """An attribute that is a header with names between commas: a NameSet, which takes a text or names."""

    def __init__(self, name: str) -> None:
        super().__init__(name, write=joined)

    def __get__(self, response: Any, owner: Any = None) -> Any:
        return self if response is None else NameSet(response.headers, self._name)


class NameSet:
    """The names in a header of the response; what is changed here is changed there."""

    def __init__(self, headers: Headers, name: str) -> None:
        self._headers = headers
        self._name = name

    def _names(self) -> List[str]:
        given = ",".join(self._headers.getlist(self._name)).split(",")
        return [name.strip() for name in given if name.strip()]

    def _keep(self, names: List[str]) -> None:
        if names:
            self._headers[self._name] = ", ".join(names)
        else:
            self._headers.remove(self._name)

    def add(self, name: str) -> None:
        self.update([name])

    def update(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self:
                self._keep([*self._names(), name])

    def discard(self, name: str) -> None:
        self._keep([kept for kept in self._names() if kept.lower() != name.lower()])

    remove = discard

    def to_header(self) -> str:
        return ", ".join(self._names())

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in (kept.lower() for kept in self._names())

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
        parts = [part.strip().partition("=") for part in vars(self)["_headers"].get("Cache-Control", "").split(",")]
        return {name.lower(): value.strip('"') if equals else None for name, equals, value in parts if name}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found, key = self._directives(), name.replace("_", "-")
        value = found.get(key)
        if key not in found:
            return None
        return True if value is None else int(value) if value.isdigit() else value

    def __setattr__(self, name: str, value: Any) -> None:
        directives, key = self._directives(), name.replace("_", "-")
        directives.pop(key, None)
        if value is not None and value is not False:
            directives[key] = None if value is True else str(value)
        headers = vars(self)["_headers"]
        if directives:
            headers["Cache-Control"] = ", ".join(map(directive, directives.items()))
        else:
            headers.remove("Cache-Control")

    def __delattr__(self, name: str) -> None:
        setattr(self, name, None)


def directive(pair: Any) -> str:
    name, value = pair
    return str(name) if value is None else "{}={}".format(name, value)


def joined(names: Union[str, Iterable[str]]) -> str:
    return names if isinstance(names, str) else ", ".join(names)


def http_date(moment: Union[datetime, float, str]) -> str:
    """A date as headers have it: of a ``datetime``, which is UTC where it says nothing, or of seconds since 1970."""
    if isinstance(moment, str):
        return moment
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return format_datetime(aware.astimezone(timezone.utc), usegmt=True)


def retry_after(moment: Union[datetime, int, str]) -> str:
    """Seconds, or a date."""
    return http_date(moment) if isinstance(moment, datetime) else str(moment)


def read_retry_after(value: str) -> datetime:
    if value.isdigit():
        return datetime.now(timezone.utc) + timedelta(seconds=int(value))
    return parsedate_to_datetime(value)


class ResponseHeaders:
    """The headers that Flask's response has as attributes."""

    headers: Headers

    accept_ranges = HeaderField("Accept-Ranges")
    access_control_allow_credentials = HeaderField(
        "Access-Control-Allow-Credentials", read="true".__eq__, write=lambda allowed: "true" if allowed else None
    )
    access_control_allow_headers = NameSetField("Access-Control-Allow-Headers")
    access_control_allow_methods = NameSetField("Access-Control-Allow-Methods")
    access_control_allow_origin = HeaderField("Access-Control-Allow-Origin")
    access_control_expose_headers = NameSetField("Access-Control-Expose-Headers")
    access_control_max_age = HeaderField("Access-Control-Max-Age", read=int)
    age = HeaderField("Age")
    allow = NameSetField("Allow")
    content_encoding = HeaderField("Content-Encoding")
    content_language = NameSetField("Content-Language")
    content_length = HeaderField("Content-Length", read=int)
    content_location = HeaderField("Content-Location")
    content_md5 = HeaderField("Content-MD5")
    content_range = HeaderField("Content-Range")
    content_security_policy = HeaderField("Content-Security-Policy")
    content_security_policy_report_only = HeaderField("Content-Security-Policy-Report-Only")
    content_type = HeaderField("Content-Type")
    cross_origin_embedder_policy = HeaderField("Cross-Origin-Embedder-Policy")
    cross_origin_opener_policy = HeaderField("Cross-Origin-Opener-Policy")
    date = HeaderField("Date", read=parsedate_to_datetime, write=http_date)
    expires = HeaderField("Expires", read=parsedate_to_datetime, write=http_date)
    last_modified = HeaderField("Last-Modified", read=parsedate_to_datetime, write=http_date)
    location = HeaderField("Location")
    retry_after = HeaderField("Retry-After", read=read_retry_after, write=retry_after)
    vary = NameSetField("Vary")
    www_authenticate = HeaderField("WWW-Authenticate")

    @property
    def cache_control(self) -> CacheControl:
        return CacheControl(self.headers)

    def set_etag(self, etag: str, weak: bool = False) -> None:
        self.headers["ETag"] = '{}"{}"'.format("W/" if weak else "", etag)

    def get_etag(self) -> Any:
        """The ETag and whether it is a weak one; None for both where there is none."""
        text = self.headers.get("ETag")
        if text is None:
            return None, None
        weak = text.startswith("W/")
        return text[2 * weak :].strip('"'), weak

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: Union[timedelta, float, None] = None,
        expires: Union[datetime, float, str, None] = None,
        path: Optional[str] = "/",
        domain: Optional[str] = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Optional[str] = None,
    ) -> None:
        """Add a Set-Cookie header (RFC 6265)."""
        if isinstance(max_age, timedelta):
            max_age = max_age.total_seconds()
        attributes = [
            ("Domain", domain),
            ("Expires", None if expires is None else http_date(expires)),
            ("Max-Age", None if max_age is None else int(max_age)),
            ("Secure", secure or None),
            ("HttpOnly", httponly or None),
            ("Path", path),
            ("SameSite", samesite),
        ]
        pairs = [(name, None if given is True else given) for name, given in attributes if given is not None]
        self.headers.add("Set-Cookie", "; ".join(map(directive, [(key, cookie_value(value)), *pairs])))

    def delete_cookie(self, key: str, path: Optional[str] = "/", domain: Optional[str] = None, **more: Any) -> None:
        """Have the client forget a cookie."""
        self.set_cookie(key, expires=0, max_age=0, path=path, domain=domain, **more)


def cookie_value(value: str) -> str:
    """In quotes, with octal codes, where it holds what a cookie's value may not."""
    if NEEDS_QUOTES.search(value) is None:
        return value
    escaped = NEEDS_ESCAPE.sub(lambda found: b"\\%03o" % ord(found.group()), value.encode("utf-8"))
    return '"{}"'.format(escaped.decode("ascii"))


def status_code_of(status: Any) -> int:
    """The number of a status: of 404, of ``"404"``, of ``"404 Not Found"``; 200 of None. Raises ValueError."""
    if status is None:
        return 200
    code = status.split(None, 1)[0] if isinstance(status, str) and status.strip() else status
    try:
        return int(code)
    except (ValueError, TypeError):
        raise ValueError("The status of a response is a number, as in 404 or '404 Not Found', not {!r}.".format(status))


def status_line(code: int) -> str:
    """As Flask shows it: ``404 NOT FOUND``."""
    try:
        return "{} {}".format(code, HTTPStatus(code).phrase.upper())
    except ValueError:
        return "{} UNKNOWN".format(code)


def content_type_of(mimetype: str) -> str:
    return mimetype + "; charset=utf-8" if TEXT_LIKE.match(mimetype) and "charset=" not in mimetype else mimetype

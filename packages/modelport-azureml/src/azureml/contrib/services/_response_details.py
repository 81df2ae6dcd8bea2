"""What Flask's response has beside status, headers and body, for scripts that do not use Flask: all of it is kept in
the headers."""

import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Callable, Optional, Union

from azureml.contrib.services._header_values import (
    CacheControl,
    NameSet,
    age,
    entity_tag,
    http_date,
    joined,
    read_age,
    read_entity_tag,
    read_retry_after,
    retry_after,
)
from azureml.contrib.services._mappings import Headers
from azureml.contrib.services._set_cookie import set_cookie_line

TEXT_LIKE = re.compile(r"text/|.*\+xml\Z|application/(?:ecmascript|javascript|sql|xml(?:-[a-z-]+)?)\Z")
"""Types to which Flask adds ``charset=utf-8``."""


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
        except (ValueError, TypeError, OverflowError):
            return None

    def __set__(self, response: Any, value: Any) -> None:
        text = None if value is None else self._write(value)
        if text is None:
            response.headers.remove(self._name)
        else:
            response.headers[self._name] = text

    def __delete__(self, response: Any) -> None:
        response.headers.remove(self._name)


class LengthField(HeaderField):
    """The length that a header tells, else that of the body, unless it is made while it is sent."""

    def __get__(self, response: Any, owner: Any = None) -> Any:
        told = super().__get__(response, owner)
        return len(response.get_data()) if told is None and not response.is_streamed else told


class NameSetField(HeaderField):
    """An attribute that is a header with names between commas: a NameSet, which takes a text or names."""

    def __init__(self, name: str) -> None:
        super().__init__(name, write=joined)

    def __get__(self, response: Any, owner: Any = None) -> Any:
        return self if response is None else NameSet(response.headers, self._name)


class ResponseHeaders:
    """The headers that Flask's response has as attributes."""

    headers: Headers

    accept_ranges = HeaderField("Accept-Ranges")
    access_control_allow_headers = NameSetField("Access-Control-Allow-Headers")
    access_control_allow_methods = NameSetField("Access-Control-Allow-Methods")
    access_control_allow_origin = HeaderField("Access-Control-Allow-Origin")
    access_control_expose_headers = NameSetField("Access-Control-Expose-Headers")
    access_control_max_age = HeaderField("Access-Control-Max-Age", read=int)
    age = HeaderField("Age", read=read_age, write=age)
    allow = NameSetField("Allow")
    content_encoding = HeaderField("Content-Encoding")
    content_language = NameSetField("Content-Language")
    content_length = LengthField("Content-Length", read=int)
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
    def access_control_allow_credentials(self) -> bool:
        return "Access-Control-Allow-Credentials" in self.headers

    @access_control_allow_credentials.setter
    def access_control_allow_credentials(self, allowed: bool) -> None:
        if allowed:
            self.headers["Access-Control-Allow-Credentials"] = "true"
        else:
            self.headers.remove("Access-Control-Allow-Credentials")

    @property
    def cache_control(self) -> CacheControl:
        return CacheControl(self.headers)

    def set_etag(self, etag: str, weak: bool = False) -> None:
        """Raises ValueError where it holds a quotation mark."""
        self.headers["ETag"] = entity_tag(etag, weak=weak)

    def get_etag(self) -> Any:
        """The ETag and whether it is a weak one; None for both where there is none."""
        text = self.headers.get("ETag")
        return (None, None) if text is None else read_entity_tag(text)

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
        partitioned: bool = False,
    ) -> None:
        """Add a Set-Cookie header. Raises ValueError where ``samesite`` is none of ``Strict``, ``Lax`` and ``None``."""
        line = set_cookie_line(
            key,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.add("Set-Cookie", line)

    def delete_cookie(self, key: str, path: Optional[str] = "/", domain: Optional[str] = None, **more: Any) -> None:
        """Have the client forget a cookie."""
        self.set_cookie(key, expires=0, max_age=0, path=path, domain=domain, **more)


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

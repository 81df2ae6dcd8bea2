"""Whole HTTP requests for an entry script: ``@rawhttp`` and what its function receives."""

import importlib
import io
import json
import logging
import re
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union
from urllib.parse import quote, unquote_to_bytes

from azureml._modelport import request_raw_http
from azureml.contrib.services import _flask_if_imported
from azureml.contrib.services._forms import MULTIPART, TYPES, Form, kind_of, parse_form, parse_pairs
from azureml.contrib.services._forwarded import scheme_of
from azureml.contrib.services._made_once import made_once
from azureml.contrib.services._mappings import Fields, Headers
from azureml.contrib.services._multipart import TooMuch, read_parameters
from azureml.contrib.services._request_details import detail
from azureml.contrib.services._uploaded_file import UploadedFile

__all__ = ["AMLRequest", "rawhttp"]

COOKIE = re.compile(r'([^=;]*)(?:=(?:\s*("(?:[^\\"]|\\.)*")\s*(?=;|\Z)|([^;]*)))?(?:;|\Z)')
"""Name and value, the latter in quotes or not. Each part ends at a character that it may not hold itself: a client may
send 64 KB of spaces, and whatever is tried twice would be tried for each of them."""

ESCAPED = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
"""In the quoted value of a cookie, as ``http.cookies`` writes it."""

ESCAPED_LETTERS = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+")
"""In a query, what is not ASCII."""

UNREAD = object()
"""In the place of the JSON value of a body that was not parsed yet."""

logger = logging.getLogger("azureml.contrib.services")

F = TypeVar("F", bound=Callable[..., Any])


class AMLRequest:
    """A request as it came, with the names of Flask's request object. The body is held whole, in memory.

    It is a request of Flask's too, with all that those can do, where Flask has been imported. What is here by none of
    these names is asked of Werkzeug's request, on which Flask's is built, where that is installed; where it is not,
    what it makes of single headers is there all the same (``_request_details``).
    """

    root_path = script_root = ""
    remote_user = None
    _modelport_context: Any = None
    """``_flask_if_imported.REQUEST_CONTEXT``."""

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Iterable[Tuple[str, str]] = (),
        body: bytes = b"",
        address: Optional[str] = None,
    ) -> None:
        self.method = method
        self.remote_addr = address
        self.path = path
        self._given_headers = headers
        self._query = query
        self._body = body
        self._form: Optional[Form] = None
        self._json: Any = UNREAD
        self._werkzeugs: Any = None

    def __getattr__(self, name: str) -> Any:
        """What Werkzeug's request has beside. Raises AttributeError, also where Werkzeug is not installed."""
        if name.startswith("_") or type(self) is not AMLRequest:
            raise AttributeError("{!r} object has no attribute {!r}".format(type(self).__name__, name))
        if self._werkzeugs is None:
            self._werkzeugs = self._as_werkzeugs()
        if self._werkzeugs is not None:
            return getattr(self._werkzeugs, name)
        if name == "environ":
            return self._environment()
        try:
            return detail(name, self.headers)
        except AttributeError as error:
            text = "AMLRequest has no {!r} of its own. If Flask's request has it, add flask to the environment."
            raise AttributeError(text.format(name)) from error

    def _as_werkzeugs(self) -> Any:
        try:
            wrappers = importlib.import_module("werkzeug.wrappers")
        except ImportError:
            return None
        return wrappers.Request(self._environment())

    def _environment(self) -> Dict[str, Any]:
        headers = list(self._given_headers)
        return _flask_if_imported.wsgi_environment(
            self.method, self.path, self._query, headers, self._body, self.remote_addr
        )

    @made_once
    def headers(self) -> Headers:
        """The headers, with names in Title-Case."""
        return Headers(self._given_headers)

    @made_once
    def args(self) -> "Fields[str]":
        """The fields of the query."""
        return Fields(parse_pairs(self._query))

    @made_once
    def query_string(self) -> bytes:
        """The query as it came, without the ``?``."""
        return self._query.encode("latin-1")

    @property
    def full_path(self) -> str:
        """Path and query; a ``?`` stands between them also where there is no query."""
        return "{}?{}".format(self.path, self._query)

    @made_once
    def scheme(self) -> str:
        """``https`` where a proxy on this machine says that its client came so."""
        return scheme_of(self._given_headers, self.remote_addr)

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """As the client named it, without a port that goes without saying."""
        host, port = self.headers.get("Host", "localhost"), ":443" if self.is_secure else ":80"
        return host[: -len(port)] if host.endswith(port) else host

    @property
    def host_url(self) -> str:
        return "{}://{}/".format(self.scheme, self.host.lower())

    root_url = url_root = host_url

    @property
    def base_url(self) -> str:
        return self.host_url[:-1] + self.path

    @property
    def url(self) -> str:
        """With letters instead of the escapes of UTF-8 in its query, as Flask shows it."""
        return self.base_url + ("?" + readable(self._query) if self._query else "")

    @property
    def content_type(self) -> Optional[str]:
        return self.headers.get("Content-Type")

    @property
    def mimetype(self) -> str:
        """The content type without its parameters, in small letters; empty where there is none."""
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def mimetype_params(self) -> Dict[str, str]:
        """The parameters of the content type, such as ``charset``."""
        return read_parameters(self.content_type or "")[1]

    @property
    def content_encoding(self) -> Optional[str]:
        return self.headers.get("Content-Encoding")

    @property
    def referrer(self) -> Optional[str]:
        return self.headers.get("Referer")

    @property
    def origin(self) -> Optional[str]:
        return self.headers.get("Origin")

    @property
    def content_length(self) -> Optional[int]:
        """The body's bytes; None for a request that has none and says no length."""
        return len(self._body) if self._body or "Content-Length" in self.headers else None

    @property
    def access_route(self) -> List[str]:
        """The addresses from the client to here: those that X-Forwarded-For tells, or the peer's alone."""
        told = self.headers.get("X-Forwarded-For", "")
        route = [address.strip() for address in told.split(",") if address.strip()]
        return route or ([self.remote_addr] if self.remote_addr else [])

    @made_once
    def cookies(self) -> "Fields[str]":
        """The cookies that the client sent. One that cannot be read costs no other."""
        return Fields(parse_cookies(self.headers.get("Cookie", "")))

    @made_once
    def stream(self) -> IO[bytes]:
        """The body as a file, which can be read once."""
        return io.BytesIO(self._body)

    @property
    def data(self) -> bytes:
        """The body; empty where it is a form's, which ``form`` and ``files`` hold."""
        return b"" if self.mimetype in TYPES else self._body

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Union[bytes, str]:
        """The body, whatever it is. ``cache`` is accepted and changes nothing: the body can be read again."""
        body = self.data if parse_form_data else self._body
        return body.decode("utf-8", "replace") if as_text else body

    @property
    def is_json(self) -> bool:
        return self.mimetype == "application/json" or (
            self.mimetype.startswith("application/") and self.mimetype.endswith("+json")
        )

    @property
    def json(self) -> Any:
        """The body's JSON value; None where the content type is not JSON. Raises ValueError where it cannot be read."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """As ``json``; ``force`` ignores the content type, ``silent`` gives None instead of an error; ``cache``: what
        the script changes in the value is there the next time."""
        if not (force or self.is_json):
            return None
        if cache and self._json is not UNREAD:
            return self._json
        try:
            value = json.loads(self._body)
        except ValueError:
            if silent:
                return None
            raise
        if cache:
            self._json = value
        return value

    @made_once
    def form(self) -> "Fields[str]":
        """The fields of a form; none where its body is damaged, which the log says."""
        return Fields(self._parsed_form().fields)

    @made_once
    def files(self) -> "Fields[UploadedFile]":
        """The uploaded files of a form, by the names of their fields; none where its body is damaged.

        Only a body of several parts is read for them: curl calls any body an urlencoded form, and 100 MB of one take
        many seconds.
        """
        may_have_any = kind_of(self.content_type or "") == MULTIPART
        return Fields(self._parsed_form().files if may_have_any else [])

    @made_once
    def values(self) -> "Fields[str]":
        """The fields of the query and of the form, those of the query first."""
        return Fields([*parse_pairs(self._query), *self._parsed_form().fields])

    def _parsed_form(self) -> Form:
        if self._form is None:
            try:
                self._form = parse_form(self.content_type or "", self._body)
            except TooMuch:
                raise
            except ValueError as error:
                self._form = Form([], [])  # as with Flask's: scripts ask whether a field is there
                logger.warning("The form of a request cannot be read, its fields and files count as absent: %s", error)
        return self._form

    def close(self) -> None:
        """Nothing: what a request holds goes with it."""

    def __repr__(self) -> str:
        return "<AMLRequest {} {!r}>".format(self.method, self.url)


def readable(query: str) -> str:
    """The query with the letters of its escapes; what is not UTF-8, not printable or could be read as punctuation of an
    address stays escaped."""
    return ESCAPED_LETTERS.sub(letters, query)


def letters(found: Any) -> str:
    text: str = found.group()
    try:
        whole = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return text
    return "".join(letter if letter > "~" and letter.isprintable() else quote(letter) for letter in whole)


def parse_cookies(text: str) -> Iterator[Tuple[str, str]]:
    """The pairs of a Cookie header (RFC 6265, 4.2); a value in double quotes without these, which may hold ``;``."""
    for name, in_quotes, plain in COOKIE.findall(text):
        name, value = name.strip(), in_quotes or plain.strip()
        if name:
            is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
            yield name, unescaped(value[1:-1]) if is_quoted else value


def unescaped(text: str) -> str:
    """What stands behind each backslash: a character, or the octal code of a byte of UTF-8."""
    if "\\" not in text:
        return text
    return ESCAPED.sub(character, text.encode("utf-8")).decode("utf-8", "replace")


def character(found: Any) -> bytes:
    code: bytes = found.group(1)
    return bytes([int(code, 8)]) if len(code) > 1 else code


def rawhttp(func: F) -> F:
    """Mark the script as one whose ``run`` takes an AMLRequest. The function is returned unchanged."""
    request_raw_http(make_request)
    return func


def make_request(
    method: str,
    path: str,
    *,
    query: str,
    headers: Sequence[Tuple[str, str]],
    body: bytes,
    address: Optional[str] = None,
) -> AMLRequest:
    """The request, as Flask's where the script uses Flask."""
    flask = _flask_if_imported.imported_flask()
    if flask is None:
        return AMLRequest(method, path, query=query, headers=headers, body=body, address=address)
    made: AMLRequest = _flask_if_imported.make_request(
        flask, AMLRequest, method, path, query=query, headers=headers, body=body, address=address
    )
    return made

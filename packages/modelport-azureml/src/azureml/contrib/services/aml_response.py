"""Whole HTTP responses from an entry script."""

import json
from hashlib import sha1
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from azureml.contrib.services._flask_if_imported import imported_flask, joined_class
from azureml.contrib.services._mappings import Headers
from azureml.contrib.services._multipart import read_parameters
from azureml.contrib.services._response_details import ResponseHeaders, content_type_of, status_code_of, status_line

__all__ = ["AMLResponse"]

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"


class AMLResponse(ResponseHeaders):
    """A response with a status, headers and a body of the script's own.

    ``message``: None gives ``{}`` as JSON; with ``json_str`` its JSON text; else a str, bytes, or an iterable of
    these, as they are, ``text/html; charset=utf-8`` unless ``response_headers`` has a Content-Type. An iterator is sent
    as it makes its parts.
    ``response_headers``: a value is split at commas into headers of the same name; JSON keeps its content type. More
    can be set in ``headers``, and there everything can be replaced.
    ``run_function_failed``: reported to the client as ``x-ms-run-function-failed``; a status from 500 on is too.

    It is a response of Flask's too, with all that those can do, where Flask has been imported. Where it has not, most
    of that is there by the same names.

    Raises TypeError where the body is none of these, where ``json_str`` is given and it is no JSON value, and where the
    value of a header is neither text nor a number; ValueError where the status is none.
    """

    def __new__(cls, *_: Any, **__: Any) -> "AMLResponse":
        flask = imported_flask() if cls is AMLResponse else None
        made: AMLResponse = object.__new__(cls if flask is None else flask_response_class(flask))
        return made

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Optional[Dict[str, Any]] = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        body, content_type = body_of(message, json_str)
        self._start(body, status_code_of(status_code), content_type)
        self.run_function_failed = bool(run_function_failed)
        if response_headers:
            add_headers(self.headers, response_headers, keeps_type=content_type == JSON_TYPE)

    def _start(self, body: Any, status_code: int, content_type: str) -> None:
        self._status_code = status_code
        self.headers = Headers.of_one("Content-Type", content_type)
        self._body = list(body) if isinstance(body, tuple) else body
        self._at_end: List[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Any:
        text = "{} has no {!r} of its own. If Flask's response has it, import flask in the script."
        if type(self) is not AMLResponse:
            text = "{!r} object has no attribute {!r}"
        raise AttributeError(text.format(type(self).__name__, name))

    @property
    def status_code(self) -> int:
        return self._status_code

    @status_code.setter
    def status_code(self, value: Any) -> None:
        self._status_code = status_code_of(value)

    @property
    def status(self) -> str:
        """As ``404 NOT FOUND``; can be set to that, and to a number."""
        return status_line(self.status_code)

    @status.setter
    def status(self, value: Any) -> None:
        self._status_code = status_code_of(value)

    @property
    def mimetype(self) -> str:
        """The content type without its parameters, in small letters. Where it is set, text gets a charset."""
        return (self.content_type or "").partition(";")[0].strip().lower()

    @mimetype.setter
    def mimetype(self, value: str) -> None:
        self.content_type = content_type_of(value)

    @property
    def mimetype_params(self) -> Dict[str, str]:
        """The parameters of the content type, such as ``charset``."""
        return read_parameters(self.content_type or "")[1]

    @property
    def is_json(self) -> bool:
        return self.mimetype == JSON_TYPE or (
            self.mimetype.startswith("application/") and self.mimetype.endswith("+json")
        )

    @property
    def json(self) -> Any:
        """The body's JSON value; None where the content type is not JSON."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """As ``json``; ``force`` ignores the content type, ``silent`` gives None instead of a ValueError."""
        if not (force or self.is_json):
            return None
        try:
            return json.loads(self.get_data())
        except ValueError:
            if silent:
                return None
            raise

    @property
    def response(self) -> Any:
        """The iterable that makes the body."""
        return self._body

    @response.setter
    def response(self, body: Any) -> None:
        self._body = body_of(body, False)[0]

    @property
    def data(self) -> Any:
        return self.get_data()

    @data.setter
    def data(self, value: Any) -> None:
        self.set_data(value)

    @property
    def is_streamed(self) -> bool:
        """Whether the body is an iterator that has not been used up."""
        return not isinstance(self._body, list)

    @property
    def is_sequence(self) -> bool:
        """Whether the whole body is there."""
        return not self.is_streamed

    def iter_encoded(self) -> Iterator[bytes]:
        """The body piece by piece, as it is made."""
        for chunk in self._body:
            yield as_bytes(chunk)

    def get_data(self, as_text: bool = False) -> Any:
        """The whole body. An iterator is used up here, once, and its parts are kept joined."""
        body = self._body
        if type(body) is list and len(body) == 1 and type(body[0]) is bytes:  # nearly always
            whole = body[0]
        else:
            whole = b"".join(self.iter_encoded())
            self._body = [whole]
        return whole.decode("utf-8") if as_text else whole

    def set_data(self, value: Any) -> None:
        """Replace the body by a str or bytes."""
        self._body = [as_bytes(value)]

    def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Add an ETag made of the body, unless there is one."""
        if overwrite or "ETag" not in self.headers:
            self.set_etag(sha1(self.get_data()).hexdigest(), weak)  # noqa: S324 - no secret, as in Werkzeug

    def calculate_content_length(self) -> Optional[int]:
        """The bytes of the body; None where it is made while it is sent."""
        return None if self.is_streamed else len(self.get_data())

    def freeze(self) -> None:
        """Have the whole body made, and an ETag of it, so that the response can be kept."""
        self.get_data()
        self.add_etag()

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Have a function called when the body has been sent."""
        self._at_end.append(func)
        return func

    def close(self) -> None:
        """End the iterator that makes the body: its ``finally`` clauses run; then what ``call_on_close`` was given."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
        for function in self._at_end:
            function()

    def __repr__(self) -> str:
        return "<AMLResponse {}>".format(self.status_code)


def flask_response_class(flask: Any) -> Any:
    """The class of an AMLResponse that is a response of Flask's."""

    def start(self: Any, body: Any, status_code: int, content_type: str) -> None:
        flask.Response.__init__(self, body, status=status_code, content_type=content_type)

    return joined_class(flask.Response, AMLResponse, __init__=AMLResponse.__init__, _start=start)


def body_of(message: Any, json_str: bool) -> Tuple[Any, str]:
    """An iterable for the body, and its content type. Raises TypeError where the message is none that can be sent."""
    if message is None:
        return ["{}"], JSON_TYPE
    if json_str:
        return [json.dumps(message)], JSON_TYPE
    if isinstance(message, (str, bytes, bytearray, memoryview)):
        return [message], HTML_TYPE
    if isinstance(message, dict) or not hasattr(message, "__iter__") or hasattr(message, "tolist"):  # of numbers
        raise TypeError(
            "The message of an AMLResponse is {}, not str or bytes: pass json_str=True to send it as JSON.".format(
                type(message).__name__
            )
        )
    return message, HTML_TYPE


def add_headers(headers: Any, given: Dict[str, Any], *, keeps_type: bool) -> None:
    """``keeps_type``: v1's server sent two content types then, of which clients and its own tests took the first."""
    for name, value in given.items():
        if name.lower() == "content-type":
            if not keeps_type:
                headers[name] = value
            continue
        if not isinstance(value, (str, int, float)):
            text = "The header {!r} of an AMLResponse is {}, not text: join several values with commas."
            raise TypeError(text.format(name, type(value).__name__))
        for part in str(value).split(","):
            headers.add(name, part.strip())


def as_bytes(chunk: Any) -> Any:
    """The chunk, as UTF-8 where it is a str. Raises TypeError where it is no bytes either."""
    if isinstance(chunk, str):
        return chunk.encode("utf-8")
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return chunk
    raise TypeError(
        "A part of an AMLResponse's message is {}, not str or bytes: yield text (what json.dumps makes of it, say), or "
        "pass json_str=True to send a message that is a list as JSON.".format(type(chunk).__name__)
    )

"""Whole HTTP responses from an entry script."""

import json
from http.cookies import SimpleCookie
from typing import Any, Dict, Iterator, Optional, Tuple

from azureml.contrib.services._flask_if_imported import imported_flask, joined_class
from azureml.contrib.services._mappings import Headers

__all__ = ["AMLResponse"]

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"


class AMLResponse:
    """A response with a status, headers and a body of the script's own.

    ``message``: None gives ``{}`` as JSON; with ``json_str`` its JSON text; else a str, bytes, or an iterable of
    these, as they are, ``text/html; charset=utf-8`` unless ``response_headers`` has a Content-Type. An iterator is sent
    as it makes its parts.
    ``response_headers``: a value is split at commas into headers of the same name; JSON keeps its content type. More
    can be set in ``headers``, and there everything can be replaced.
    ``run_function_failed``: reported to the client as ``x-ms-run-function-failed``; a status from 500 on is too.

    It is a response of Flask's too, with all that those can do, where Flask has been imported.

    Raises TypeError where the body is none of these, and where ``json_str`` is given and it is no JSON value.
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
        self._start(body, int(status_code), content_type)
        self.run_function_failed = bool(run_function_failed)
        add_headers(self.headers, response_headers or {}, keeps_type=content_type == JSON_TYPE)

    def _start(self, body: Any, status_code: int, content_type: str) -> None:
        self.status_code = status_code
        self.headers = Headers([("Content-Type", content_type)])
        self._body = list(body) if isinstance(body, tuple) else body

    @property
    def status(self) -> str:
        return str(self.status_code)

    @property
    def content_type(self) -> Optional[str]:
        return self.headers.get("Content-Type")

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["Content-Type"] = value

    @property
    def mimetype(self) -> str:
        """The content type without its parameters, in small letters."""
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def data(self) -> bytes:
        return self.get_data()

    @data.setter
    def data(self, value: Any) -> None:
        self.set_data(value)

    @property
    def is_streamed(self) -> bool:
        """Whether the body is an iterator that has not been used up."""
        return not isinstance(self._body, list)

    def iter_encoded(self) -> Iterator[bytes]:
        """The body piece by piece, as it is made."""
        for chunk in self._body:
            yield as_bytes(chunk)

    def get_data(self) -> bytes:
        """The whole body. An iterator is used up here, once, and its parts are kept joined."""
        self._body = [b"".join(self.iter_encoded())]
        return self._body[0]  # type: ignore[no-any-return]

    def set_data(self, value: Any) -> None:
        """Replace the body by a str or bytes."""
        self._body = [as_bytes(value)]

    def set_cookie(self, key: str, value: str = "", **attributes: Any) -> None:
        """Add a Set-Cookie header; ``attributes`` are those of ``http.cookies``: path, max_age, httponly, …"""
        cookie: Any = SimpleCookie({key: value})
        morsel = cookie[key]
        for name, attribute in dict({"path": "/"}, **attributes).items():
            if attribute is not None and attribute is not False:
                morsel[name.replace("_", "-")] = attribute
        self.headers.add("Set-Cookie", morsel.OutputString())

    def close(self) -> None:
        """End the iterator that makes the body: its ``finally`` clauses run."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

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
    if isinstance(message, dict) or not hasattr(message, "__iter__"):
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
        for part in str(value).split(","):
            headers.add(name, part.strip())


def as_bytes(chunk: Any) -> Any:
    """The chunk, as UTF-8 where it is a str. Raises TypeError where it is no bytes either."""
    if isinstance(chunk, str):
        return chunk.encode("utf-8")
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return chunk
    raise TypeError(
        "A part of an AMLResponse's message is {}, not str or bytes: pass json_str=True to send the message as "
        "JSON.".format(type(chunk).__name__)
    )

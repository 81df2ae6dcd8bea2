"""Whole HTTP responses from an entry script."""

import json
from typing import Any, Dict, Iterator, Optional

from azureml.contrib.services._mappings import Headers

__all__ = ["AMLResponse"]


class AMLResponse:
    """A response with a status, headers and a body of the script's own.

    ``message``: None gives ``{}`` as JSON; with ``json_str`` its JSON text; else a str, bytes, or an iterable of
    these, as they are, ``text/html; charset=utf-8`` unless ``response_headers`` has a Content-Type.
    ``response_headers``: a value is split at commas into headers of the same name. More can be set in ``headers``.
    ``run_function_failed``: reported to the client as ``x-ms-run-function-failed``; a status from 500 on is too.

    Raises TypeError where the body is none of these, and where ``json_str`` is given and it is no JSON value.
    """

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Optional[Dict[str, Any]] = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        self.status_code = int(status_code)
        self.run_function_failed = bool(run_function_failed)
        self.headers = Headers()
        as_json = message is None or json_str
        self.headers["Content-Type"] = "application/json" if as_json else "text/html; charset=utf-8"
        self._add_headers(response_headers or {})
        if as_json:
            message = "{}" if message is None else json.dumps(message)
        self._body = _chunks(message)

    def _add_headers(self, headers: Dict[str, Any]) -> None:
        for name, value in headers.items():
            if name.lower() == "content-type":
                self.headers[name] = value
                continue
            for part in str(value).split(","):
                self.headers.add(name, part.strip())

    @property
    def content_type(self) -> Optional[str]:
        return self.headers.get("Content-Type")

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["Content-Type"] = value

    @property
    def data(self) -> bytes:
        return self.get_data()

    @property
    def is_streamed(self) -> bool:
        """Whether the body is an iterable that has not been used up."""
        return not isinstance(self._body, list)

    def iter_encoded(self) -> Iterator[bytes]:
        """The body piece by piece, as it is made."""
        for chunk in self._body:
            yield _bytes(chunk)

    def get_data(self) -> bytes:
        """The whole body. An iterable is used up here, once, and its parts are kept joined."""
        self._body = [b"".join(_bytes(chunk) for chunk in self._body)]
        return self._body[0]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return "<AMLResponse {}>".format(self.status_code)


def _chunks(message: Any) -> Any:
    if isinstance(message, (str, bytes, bytearray)):
        return [message]
    if isinstance(message, dict) or not hasattr(message, "__iter__"):
        raise TypeError(
            "The message of an AMLResponse is {}, not str or bytes: pass json_str=True to send it as JSON.".format(
                type(message).__name__
            )
        )
    return message


def _bytes(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode("utf-8")
    if isinstance(chunk, (bytes, bytearray)):
        return bytes(chunk)
    raise TypeError(
        "A part of an AMLResponse's message is {}, not str or bytes: pass json_str=True to send the message as "
        "JSON.".format(type(chunk).__name__)
    )

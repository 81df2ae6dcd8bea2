"""h11, another's reading of HTTP/1.1: what it and ours both take for a message has to mean the same to both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import h11

MOST_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Request:
    """As h11 has it: names of headers in lower case, and the values of a repeated one joined with commas."""

    method: bytes
    target: bytes
    version: str
    headers: dict[bytes, bytes]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True)
class Reading:
    """The requests of a stream up to the one that ends the connection, and what is refused behind them, if anything."""

    requests: list[Request]
    refused: bytes


@dataclass(frozen=True)
class Answered:
    """A final answer. ``is_whole``: to its end."""

    status: int
    body: bytes
    is_whole: bool


# --- requests ---------------------------------------------------------------------------------------------------------


def read_requests(stream: bytes) -> Reading:
    requests = list[Request]()
    try:
        while stream := stream.lstrip(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request
            request, rest = read_request(stream)
            if request is None:
                break
            requests.append(request)
            stream = rest
            if not request.keep_alive:
                break
    except h11.RemoteProtocolError:
        return Reading(requests, refused=stream)
    return Reading(requests, refused=b"")


def read_request(stream: bytes) -> tuple[Request | None, bytes]:
    """The first one, where it is there to its end, and what follows it. Raises h11.RemoteProtocolError."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD_BYTES)
    reader.receive_data(stream)
    head, body = reader.next_event(), bytearray()
    if not isinstance(head, h11.Request):
        return None, b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += event.data
    if not isinstance(event, h11.EndOfMessage):
        return None, b""
    version, headers = head.http_version.decode(), joined(head.headers)
    keep_alive = keeps(version, headers.get(b"connection", b""))
    return Request(head.method, head.target, version, headers, bytes(body), keep_alive), reader.trailing_data[0]


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found = dict[bytes, bytes]()
    for name, value in headers:
        found[name] = found[name] + b", " + value if name in found else value
    return found


def keeps(version: str, connection: bytes) -> bool:
    """RFC 9112, 9.3; h11 itself keeps no connection of HTTP/1.0."""
    options = [option.strip().lower() for option in connection.split(b",")]
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)


# --- answers ----------------------------------------------------------------------------------------------------------


def read_answer(stream: bytes, method: bytes) -> Answered | None:
    """The final answer to a request with that method, behind which the connection ends; None where there is none."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD_BYTES)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(stream)
    reader.receive_data(b"")
    status, body = None, bytearray()
    try:
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None if status is None else Answered(status, bytes(body), is_whole=False)
    return None if status is None else Answered(status, bytes(body), is_whole=True)

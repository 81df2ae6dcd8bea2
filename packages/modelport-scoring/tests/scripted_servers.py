"""Servers of TCP that do what a test tells them, for what real ones do by chance only."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class Scripted:
    """A server of TCP that does with each connection what it is told, and keeps what it got."""

    def __init__(self, *behaviours: Behaviour, host: str = "127.0.0.1", port: int = 0) -> None:
        self._behaviours = list(behaviours)
        self._listening = socket.create_server((host, port))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def request(self, channel: socket.socket) -> bytes:
        """One request with a Content-Length, or none."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = channel.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        while length is not None and len(body) < int(length[1]):
            piece = channel.recv(65536)
            if not piece:
                return b""
            body += piece
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def _serve(self) -> None:
        threads = []
        while True:
            try:
                channel, _ = self._listening.accept()
            except OSError:
                break
            behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            threads.append(threading.Thread(target=self._run, args=(behaviour, channel)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _run(self, behaviour: Behaviour, channel: socket.socket) -> None:
        channel.settimeout(15)
        with channel, suppress(OSError):
            behaviour(channel, self)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ENDS_IN_A_TRAILER = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nconnection: close\r\n\r\n"
CODED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n"


def answering(answer: bytes = OK, *, times: int = 1000) -> Behaviour:
    """So many requests, and then it closes."""

    def behave(channel: socket.socket, server: Scripted) -> None:
        for _ in range(times):
            if not server.request(channel):
                return
            channel.sendall(answer)

    return behave


def closing_without_an_answer(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)


def breaking_off(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")


def saying_too_much(channel: socket.socket, server: Scripted) -> None:
    while server.request(channel):
        channel.sendall(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale")


def until_the_end(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of")
    time.sleep(0.1)
    channel.sendall(b" it")


def silent(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.recv(1)


def refusing_early(channel: socket.socket, server: Scripted) -> None:
    channel.recv(1000)
    channel.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
    channel.shutdown(socket.SHUT_WR)
    time.sleep(0.5)


def taking_chunks(channel: socket.socket, server: Scripted) -> None:
    """Answers a request whose body comes in chunks, and keeps it with their sizes."""
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        piece = channel.recv(65536)
        if not piece:
            return
        data += piece
    server.requests.append(data)
    channel.sendall(OK)


def streaming_early(channel: socket.socket, server: Scripted) -> None:
    """An answer that begins before the request is whole, and ends with the connection."""
    channel.recv(1000)
    channel.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    with suppress(ConnectionError):
        while channel.recv(1000):
            pass
    server.requests.append(b"left")


def without_end(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    with suppress(OSError):
        while True:
            channel.sendall(b"y" * 100_000)


Behaviour = Callable[[socket.socket, Scripted], None]

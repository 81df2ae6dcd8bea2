"""An engine's socket by TCP, as if it were on another machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 64 * 1024


@contextmanager
def by_tcp(address: str) -> Iterator[str]:
    """The address of a port of this machine that leads to the socket ``unix://…``, until it is left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, address.removeprefix("unix://")), daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, path: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(path)
        ends = [threading.Thread(target=_pass, args=pair, daemon=True) for pair in ((client, engine), (engine, client))]
        for end in ends:
            end.start()
        threading.Thread(target=_close, args=(ends, client, engine), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _close(ends: list[threading.Thread], *sockets: socket.socket) -> None:
    for end in ends:
        end.join()
    for each in sockets:
        each.close()

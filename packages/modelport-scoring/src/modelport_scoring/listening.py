"""The socket that a service listens on: a new one, or that of the supervisor before."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from pathlib import Path

import msgspec

from modelport_scoring.handover import Handover
from modelport_scoring.service_folder import SETTINGS, write_settings
from modelport_scoring.settings import ServiceSettings

BACKLOG = 1024

SO_ATTACH_FILTER = 26
"""Of Linux (asm-generic/socket.h); the module socket does not name it."""

DROP_SYN = b"".join(
    struct.pack("@HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # the flags of the TCP header
        (0x54, 0, 0, 0x12),  # SYN and ACK of them
        (0x15, 0, 1, 0x02),  # SYN alone
        (0x06, 0, 0, 0),  # is dropped
        (0x06, 0, 0, 0xFFFFFFFF),  # anything else is let through
    )
)
"""A classic BPF program (Linux, Documentation/networking/filter.rst), as an array of ``struct sock_filter``."""


class CannotServe(Exception):
    """The supervisor gives up before it serves; the message is for whoever deploys."""


def find_socket(settings: ServiceSettings, handover: Handover | None) -> socket.socket:
    """The socket on which another supervisor serves, or a new one. Raises CannotServe and HandoverFailed."""
    host, port = settings.host, settings.port
    if handover is None:
        return open_socket(host, port)
    listening = handover.acquire(lambda: open_socket(host, port), host=host, port=port)
    handover.offer(listening)
    return listening


def open_socket(host: str, port: int) -> socket.socket:
    """Listen there. Raises CannotServe, which names the address and the reason."""
    where = f"{host}, port {port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(f"{where} is taken: another program listens there. Choose another port") from error
        raise CannotServe(f"{where} cannot be listened on: {error.strerror or error}") from error
    return listening


def write_port(settings: ServiceSettings, listening: socket.socket) -> None:
    """Write the port that the system chose into ``service.json``. Raises CannotServe."""
    if settings.port:
        return
    try:
        write_settings(Path(), msgspec.structs.replace(settings, port=listening.getsockname()[1]))
    except OSError as error:
        raise CannotServe(f"{SETTINGS} could not be written: {error.strerror}") from error


def shut_down(listening: socket.socket) -> list[socket.socket]:
    """Listen no more, and return who has connected and was not accepted yet. The socket is non-blocking.

    A socket that is just shut down resets them, perhaps with a request on its way that their clients then count as
    lost. Others may hold it too, or have shut it down already.
    """
    _drop_newcomers(listening)
    waiting = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            connection.setblocking(False)
            waiting.append(connection)
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    return waiting


def _drop_newcomers(listening: socket.socket) -> None:
    """Between the last one who is accepted and the end nobody gets in. Whoever tries in this instant tries again after
    a second, and is refused then. Where the system knows no such filter, nothing happens."""
    program = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
    with contextlib.suppress(OSError):
        filter_program = struct.pack("@HP", len(DROP_SYN) // 8, ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)

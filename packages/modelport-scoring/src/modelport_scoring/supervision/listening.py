"""The socket that a service listens on: a new one, or that of the supervisor before."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

import msgspec

from modelport_scoring.service_folder import SETTINGS, write_settings
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.sockets.handover import Handover

BACKLOG = 1024
"""Clients that have connected and wait to be accepted. The event loop sets it anew, from the same number."""


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


def find_probed(settings: ServiceSettings, handover: Handover | None) -> socket.socket | None:
    """The socket of ``health_port``, if there is to be one. It is not handed over. Raises CannotServe."""
    if settings.health_port is None:
        return None
    try:
        return open_socket(settings.host, settings.health_port)
    except CannotServe as error:
        if handover is None or not handover.waits:
            raise
        text = f"health_port {settings.health_port} cannot be taken over from the one that serves, only port can"
        raise CannotServe(f"{text}: leave health_port out, or stop that one first") from error


def open_socket(host: str, port: int) -> socket.socket:
    """Listen there. Raises CannotServe, which names the address and the reason."""
    where = f"{host}, port {port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as opened:
            listening = opened.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # :: is every address, those of IPv4 too, whatever the machine's default is
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listening.bind(address)
            listening.listen(BACKLOG)
            opened.pop_all()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(f"{where} is taken: another program listens there. Choose another port") from error
        raise CannotServe(f"{where} cannot be listened on: {error.strerror or error}") from error
    except UnicodeError as error:  # a label of a name has from 1 to 63 characters (RFC 1035, 2.3.4)
        raise CannotServe(f"{where} cannot be listened on: {host!r} is neither an address nor a name") from error
    return listening


def write_port(settings: ServiceSettings, listening: socket.socket) -> None:
    """Write the port that the system chose into ``service.json``. Raises CannotServe."""
    if settings.port:
        return
    try:
        write_settings(Path(), msgspec.structs.replace(settings, port=listening.getsockname()[1]))
    except OSError as error:
        raise CannotServe(f"{SETTINGS} could not be written: {error.strerror}") from error

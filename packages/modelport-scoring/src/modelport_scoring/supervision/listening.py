"""The sockets that a service listens on: new ones, or those of the supervisor before."""

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


def find_sockets(settings: ServiceSettings, handover: Handover | None) -> tuple[socket.socket, socket.socket | None]:
    """The sockets of ``port`` and, if there is to be one, of ``health_port``: those on which another supervisor serves,
    or new ones. Raises CannotServe and HandoverFailed."""
    host, port, health_port = settings.host, settings.port, settings.health_port
    if handover is None:
        return open_socket(host, port), None if health_port is None else open_socket(host, health_port)
    listening = handover.acquire(lambda: open_socket(host, port), host=host, port=port, health_port=health_port)
    probed = handover.probed
    if probed is None and health_port is not None:
        probed = open_probed(host, health_port, waits=handover.waits)
    handover.offer(listening, probed)
    return listening, probed


def open_probed(host: str, health_port: int, *, waits: bool) -> socket.socket:
    """A new one, where the supervisor before has none on that port to hand over. ``waits``: it serves. Raises
    CannotServe."""
    try:
        return open_socket(host, health_port)
    except CannotServe as error:
        if not waits:
            raise
        text = f"health_port {health_port} cannot be had, nor did the one that serves hand it over: {error}"
        raise CannotServe(
            f"{text}; or, where that one has it and is of a version that hands over port alone, stop it first"
        ) from error


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

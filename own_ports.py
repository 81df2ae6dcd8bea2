"""Ports that nobody else is given while a test needs them.

A port that the system chose (``bind`` to port 0) and that was let go is free for everyone: the system gives it to the
next program that asks, or to an outgoing connection, before the server that was meant listens there. With several
processes of tests that happens once in some dozen runs of them all. So these ports are below those that the system
gives (``net.ipv4.ip_local_port_range`` starts at 32768), and each process of tests has a thousand of its own.
"""

from __future__ import annotations

import os
import socket
from itertools import cycle, islice

_FIRST = 16_000
_OF_EACH_PROCESS = 1000
_PROCESSES = 16


def _mine() -> range:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
    first = _FIRST + number * _OF_EACH_PROCESS
    return range(first, first + _OF_EACH_PROCESS)


def _from_anywhere(ports: range) -> cycle[int]:
    """All of them in turn. A second run of the tests on the same machine begins elsewhere, most likely."""
    start = os.getpid() % len(ports)
    return cycle([*ports[start:], *ports[:start]])


_turn = _from_anywhere(_mine())


def own_port() -> int:
    """A port of this process of tests alone, that nobody listens on now, and that is not given again for long."""
    for port in islice(_turn, _OF_EACH_PROCESS):
        try:
            socket.create_server(("", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("all ports of this process of tests are taken")

"""Ports that nobody else is given while a test needs them.

A port that the system chose (``bind`` to port 0) and that was let go is free for everyone: the system gives it to the
next program that asks, or to an outgoing connection, before the server that was meant listens there. With several
processes of tests that happens once in some dozen runs of them all. So these ports are below those that the system
gives (``net.ipv4.ip_local_port_range`` starts at 32768), and each process of tests has some hundreds of its own, also
beside a second run on the same machine.
"""

from __future__ import annotations

import atexit
import socket
from itertools import cycle, islice

_FIRST = 16_000
_OF_EACH_PROCESS = 500
_PROCESSES = 32


def _claim() -> range:
    """The ports of this process, until it ends: who else would claim them finds the name of a socket taken, which is in
    no folder (unix(7), abstract names)."""
    for number in range(_PROCESSES):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0modelport: ports of tests, {number}")
        except OSError:
            claim.close()
        else:
            atexit.register(claim.close)
            first = _FIRST + number * _OF_EACH_PROCESS
            return range(first, first + _OF_EACH_PROCESS)
    raise AssertionError(f"{_PROCESSES} processes of tests run on this machine: no ports are left for another one")


_turn = cycle(_claim())


def own_port() -> int:
    """A port of this process of tests alone, that nobody listens on now, and that is not given again for long."""
    for port in islice(_turn, _OF_EACH_PROCESS):
        try:
            socket.create_server(("", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("all ports of this process of tests are taken")

"""Names of Services for the pods of the tests' cluster, which has no CoreDNS: Debian packages none."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from clusters.meanwhile import meanwhile

ADDRESS = "10.244.0.1"
"""Of the bridge: where pods reach this machine."""
DOMAIN = "cluster.local"

_PORT = 53
_A, _IN = 1, 1
_NO_SUCH_NAME = 3
_SECONDS = 5
_LONGEST = 512

FindService = Callable[[str, str], str | None]
"""The address of a Service, by its name and namespace."""


@contextmanager
def answering(find: FindService) -> Iterator[None]:
    """Answer questions for ``<service>.<namespace>.svc.cluster.local``; no other name exists."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        # The bridge has no address before there is a pod.
        server.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_FREEBIND", 15), 1)
        server.bind((ADDRESS, _PORT))
        server.settimeout(0.2)
        with meanwhile(partial(_serve, server, find)):
            yield


def _serve(server: socket.socket, find: FindService, over: threading.Event) -> None:
    while not over.is_set():
        try:
            question, client = server.recvfrom(_LONGEST)
        except TimeoutError:
            continue
        server.sendto(answer_to(question, find), client)


def answer_to(question: bytes, find: FindService) -> bytes:
    """The answer (RFC 1035, 4): an address, nothing for other types of a name that exists, or no such name."""
    labels, end = _name(question)
    kind = struct.unpack_from("!H", question, end)[0]
    section = question[12 : end + 4]
    suffix = ["svc", *DOMAIN.split(".")]
    address = find(labels[0], labels[1]) if len(labels) == 5 and labels[2:] == suffix else None
    code = 0 if address is not None else _NO_SUCH_NAME
    records = b""
    if address is not None and kind == _A:
        records = struct.pack("!HHHIH", 0xC00C, _A, _IN, _SECONDS, 4) + socket.inet_aton(address)
    flags = 0x8480 | code  # an answer, of the name's owner, recursion is available
    return struct.pack("!2sHHHHH", question[:2], flags, 1, bool(records), 0, 0) + section + records


def _name(message: bytes) -> tuple[list[str], int]:
    """The labels of the question's name, in small letters, and where its type begins."""
    labels, at = [], 12
    while message[at]:
        length = message[at]
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += length + 1
    return labels, at + 1

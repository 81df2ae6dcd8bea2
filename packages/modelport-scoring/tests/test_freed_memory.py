"""Memory that an idle server gives back."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import trustme

from own_ports import own_port
from routers import routing
from scoring_services import PATIENCE_S, Services, wait_until
from tls_services import with_certificate

HOLES = """
import ctypes, psutil
from modelport_scoring.processes.freed_memory import QUIET_LOOKS, IdleMemory, keep_freed_memory

def resident():
    return psutil.Process().memory_info().rss

keep_freed_memory()
at = 0
memory = IdleMemory(lambda: at)
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
begun = resident()
bodies, small = [], []
for _ in range(1000):
    bodies.append(library.malloc(100_000))
    ctypes.memset(ctypes.c_void_p(bodies[-1]), 1, 100_000)
    small.append(library.malloc(5_000))
for body in bodies:
    library.free(body)
for _ in range(10):  # something happens each time
    at += 1
    memory.look()
assert resident() - begun > 90_000_000, resident() - begun
for _ in range(QUIET_LOOKS):
    memory.look()
assert resident() - begun < 20_000_000, resident() - begun
"""


def test_holes_in_the_heap_are_given_back_once_nothing_happens() -> None:
    subprocess.run([sys.executable, "-c", HOLES], check=True)


def test_what_clients_took_that_asked_for_nothing_is_given_back(services: Services) -> None:
    service, _ = with_certificate(services)
    begin_with_tls_and_go(psutil.Process(service.status.pid), service.settings.port)


def test_a_router_gives_it_back_too(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    tls = {"certificate": "tls.crt", "key": "tls.key"}
    with routing(tmp_path, {1: f"http://127.0.0.1:{own_port()}"}, tls=tls) as router:
        assert router.process is not None
        begin_with_tls_and_go(psutil.Process(router.process.pid), router.port)


def begin_with_tls_and_go(server: psutil.Process, port: int) -> None:
    """Each such client takes 300 KB, and leaves holes in the heap when it goes."""
    before = server.memory_info().rss
    for number in range(6):
        with contextlib.ExitStack() as clients:
            for _ in range(400):
                client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
                clients.enter_context(client).sendall(b"\x16\x03\x01\x40\x00" + bytes(2000 * number))
            wait_until(lambda: server.num_fds() > 400, what="accepted")
        wait_until(lambda: server.num_fds() < 100, what="gone")
    wait_until(lambda: server.memory_info().rss - before < 25e6, what="given back", patience_s=PATIENCE_S)

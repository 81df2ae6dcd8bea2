"""Engines leave nothing in the packet filter that takes a port from others."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from containers.rules import remove_left_rules

CHAIN = f"NETAVARK-DN-TEST{os.getpid()}"


def iptables(*arguments: str) -> str:
    command = ["iptables", "--wait", "--table", "nat", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def forwarded_port() -> Iterator[int]:
    """A port from which packets go to a container that is gone, as after a Podman that was killed; on 127.0.0.2."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
    comment = f"dnat name: modelport-aml-ws-{os.getpid()} id: {os.urandom(32).hex()}"
    iptables("-N", CHAIN)
    jump = ["OUTPUT", "-d", "127.0.0.2", "-p", "tcp", "-m", "tcp", "--dport", str(port), "-m", "comment"]
    jump += ["--comment", comment, "-j", CHAIN]
    iptables("-A", CHAIN, "-p", "tcp", "-j", "DNAT", "--to-destination", "127.0.0.3:1")
    iptables("-A", *jump)
    yield port
    for left in (["-D", *jump], ["-F", CHAIN], ["-X", CHAIN]):  # where the test has failed
        subprocess.run(["iptables", "--wait", "--table", "nat", *left], check=False, stderr=subprocess.DEVNULL)


def test_a_port_of_a_container_that_is_gone_is_given_back(forwarded_port: int) -> None:
    with socket.create_server(("127.0.0.2", forwarded_port)) as server:
        with pytest.raises(OSError):
            socket.create_connection(server.getsockname(), timeout=1)
        remove_left_rules()
        socket.create_connection(server.getsockname(), timeout=10).close()
    assert CHAIN not in iptables("-S")


def test_rules_of_others_stay() -> None:
    rule = ["OUTPUT", "-o", "lo", "-m", "comment", "--comment", f"of {os.getpid()}", "-j", "ACCEPT"]
    iptables("-A", *rule)
    try:
        remove_left_rules()
        assert f"of {os.getpid()}" in iptables("-S", "OUTPUT")
    finally:
        iptables("-D", *rule)

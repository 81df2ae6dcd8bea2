"""Where services and routers listen: IPv4, IPv6, and both with one socket."""

from __future__ import annotations

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from modelport_scoring import RevisionSettings, ServiceSettings
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.supervision.listening import CannotServe, find_sockets, open_socket
from own_ports import own_port
from routers import RunningRouter
from scoring_services import PATIENCE_S, Gate, RunningService, Services, ask, load, refuses, wait_until


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def score_at(host: str, port: int) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        return ask(connection, "POST", "/score", body="x", headers={"Host": "a.example"}).body
    finally:
        connection.close()


def test_all_addresses_are_those_of_ipv4_too(services: Services) -> None:
    service = services.start(host="::")
    for host in ("127.0.0.1", "::1", "localhost"):
        assert score_at(host, service.settings.port) == b'"x"'


def test_an_address_of_ipv6_alone(services: Services) -> None:
    service = services.start(host="::1")
    assert score_at("::1", service.settings.port) == b'"x"'
    assert refuses(service.settings.port)
    with open_socket("127.0.0.1", service.settings.port) as other:  # the same port, and another address
        assert other.getsockname()[1] == service.settings.port


class OfIpv6Alone(socket.socket):
    """As each socket is by default where the machine's ``net.ipv6.bindv6only`` is 1."""

    def __init__(self, *what: int) -> None:
        super().__init__(*what)
        if self.family == socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def test_both_whatever_the_machine_does_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", OfIpv6Alone)
    with open_socket("::", 0) as listening:
        assert listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0
        with pytest.raises(CannotServe, match=r"^::, port \d+ is taken: another program listens there"):
            open_socket("::", listening.getsockname()[1])


@pytest.mark.parametrize(
    ("waits", "told"),
    [(True, r"^health_port \d+ cannot be had, nor did .* another program listens"), (False, "another program listens")],
)
def test_a_port_for_probes_that_is_taken_and_was_not_handed_over_is_told(waits: bool, told: str) -> None:
    """The one that serves may have it, and be of a version that hands over the service's port alone."""
    with (
        open_socket("127.0.0.1", 0) as probed,
        open_socket("127.0.0.1", 0) as listening,
        pytest.raises(CannotServe, match=told),
    ):
        revision = RevisionSettings(number=1, bundle="/b", interpreter=["python"])
        settings = ServiceSettings(name="n", workspace="w", revision=revision, health_port=probed.getsockname()[1])
        before = SimpleNamespace(waits=waits, probed=None, acquire=lambda *_, **__: listening)
        find_sockets(settings, cast(Handover, before))


def test_a_probe_of_a_service_that_ends_is_refused_and_the_port_is_free(services: Services, gate: Gate) -> None:
    """As the service's own port is: nobody would answer, however long what is held takes."""
    health_port = own_port()
    script = f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n"
    service = services.start(script, health_port=health_port)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        assert not refuses(health_port)
        service.control.stop()
        wait_until(lambda: refuses(health_port), what="a refusal")
        open_socket("127.0.0.1", health_port).close()
        gate.open()
        assert held.result().status == 200


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_host_that_is_no_name_is_told(host: str) -> None:
    with pytest.raises(
        CannotServe, match=rf"^{host}, port 0 cannot be listened on: '{host}' is neither an address nor"
    ):
        open_socket(host, 0)


def test_a_stop_resets_no_client_of_ipv6(services: Services) -> None:
    """As with IPv4: what keeps newcomers away looks at packets, and they are others."""
    service = services.start(host="::1")
    client = ClientOfIpv6(service.folder, service.bundles, service.process)
    with load(client, clients=3) as seen:
        service.control.stop()
        assert service.process is not None
        service.process.wait(PATIENCE_S)
    client.process = None
    client.end()
    answers = {key for key in seen if isinstance(key, tuple)}
    assert answers == {(200, b'"x"')}
    assert not [key for key in seen if "Reset" in str(key)], seen


class ClientOfIpv6(RunningService):
    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("::1", self.settings.port, timeout=PATIENCE_S)
        self.connections.append(connection)
        return connection


HEADERS = """
from azureml.contrib.services.aml_request import rawhttp

def init():
    pass

@rawhttp
def run(request):
    return request.headers["X-Forwarded-For"]
"""


def test_a_router_names_clients_of_ipv4_as_they_are(services: Services, tmp_path: Path) -> None:
    service = services.start(HEADERS)
    router = RunningRouter(tmp_path, {1: f"http://127.0.0.1:{service.settings.port}"}, host="::").start()
    try:
        named = {host: json.loads(score_at(host, router.port)) for host in ("127.0.0.1", "::1")}
    finally:
        router.end()
    assert named == {"127.0.0.1": "127.0.0.1", "::1": "::1"}

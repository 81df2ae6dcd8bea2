"""What clients see of a TLS handshake that fails."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from routers import RunningRouter, routing, url
from scoring_services import RunningService, Services, read_all
from test_tls import client_hello
from tls_services import with_certificate, write_private

FATAL = 2
HANDSHAKE_FAILURE = 40
PROTOCOL_VERSION = 70
"""Alerts (RFC 8446, 6.2)."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("handshakes"))
    yield services
    services.end()


@pytest.fixture(scope="module")
def secure(made: Services) -> tuple[RunningService, ssl.SSLContext]:
    return with_certificate(made)


@pytest.fixture(scope="module")
def router(made: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRouter]:
    folder = tmp_path_factory.mktemp("router")
    issued = trustme.CA().issue_cert("localhost")
    write_private(folder / "tls.key", issued.private_key_pem.bytes())
    write_private(folder / "tls.crt", b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    with routing(folder, {1: url(made.start())}, tls={"certificate": "tls.crt", "key": "tls.key"}) as running:
        yield running


@pytest.fixture(params=["service", "router"])
def port(request: pytest.FixtureRequest) -> int:
    if request.param == "service":
        service, _ = request.getfixturevalue("secure")
        return int(service.settings.port)
    running: RunningRouter = request.getfixturevalue("router")
    return running.port


def said(port: int, greeting: bytes) -> bytes:
    """All that a client is told who begins with those bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as channel:
        channel.sendall(greeting)
        return read_all(channel)


@pytest.mark.parametrize("version", [0x0301, 0x0302])
def test_a_version_that_is_too_old_is_told_by_an_alert(port: int, version: int) -> None:
    answer = said(port, client_hello(version))
    kind, level, what = answer[0], answer[5], answer[6]
    assert (kind, level, what, len(answer)) == (0x15, FATAL, PROTOCOL_VERSION, 7)


def test_a_client_without_a_common_cipher_is_told(port: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")  # of RSA, and the key is another
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, pytest.raises(ssl.SSLError) as caught:
        context.wrap_socket(plain)
    assert "ALERT_HANDSHAKE_FAILURE" in caught.value.reason


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_who_asks_without_tls_is_told_to_begin_with_https(port: int, method: str) -> None:
    head, _, body = said(port, f"{method} /score HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nconnection: close" in head
    assert b"https://" in body
    assert json.loads(body)["message"] == "This port speaks HTTPS only: begin the URL with https://"


def test_a_failed_handshake_is_nothing_to_the_service(
    secure: tuple[RunningService, ssl.SSLContext], tmp_path: Path
) -> None:
    service, context = secure
    for greeting in (b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", client_hello(0x0301), b"\x00" * 10):
        said(service.settings.port, greeting)
    with (
        socket.create_connection(("127.0.0.1", service.settings.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as channel,
    ):
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(channel).endswith(b"Healthy")
    assert "Traceback" not in service.supervisor_log

"""HTTPS: certificates of a test's own authority, on a real uvloop server."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import trustme
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from few_descriptors import room_for
from modelport_scoring import SettingsInvalid, TlsSettings
from modelport_scoring.tls import certificate as certificates
from modelport_scoring.tls.certificate import Certificate

SETTINGS = TlsSettings(certificate="tls.crt", key="tls.key")
AUTHORITY = trustme.CA()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class TlsServer:
    """An echo server on a uvloop of its own, in a thread."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self._loop = uvloop.new_event_loop()
        self._complaints: list[str] = []
        self._loop.set_exception_handler(lambda _, context: self._complaints.append(str(context["message"])))
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self._server = self._loop.run_until_complete(self._listen(listening))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def _listen(self, listening: socket.socket) -> asyncio.AbstractServer:
        return await self._loop.create_server(Echo, sock=listening, **self.certificate.options)

    def close(self) -> list[str]:
        """End it; returns what the loop complained of."""
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return self._complaints

    def connect(
        self,
        *,
        name: str | None = "localhost",
        oldest: ssl.TLSVersion | None = None,
        newest: ssl.TLSVersion | None = None,
        protocols: Sequence[str] = (),
    ) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        AUTHORITY.configure_trust(context)
        context.check_hostname = name is not None
        context.minimum_version = oldest or ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest or ssl.TLSVersion.MAXIMUM_SUPPORTED
        if protocols:
            context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def serial(self, *, name: str | None = "localhost") -> int:
        """Serial number of the certificate that a new connection gets."""
        with self.connect(name=name) as connection:
            assert exchanged(connection)
            return serial_of(connection)


def exchanged(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"ping")
    return connection.recv(4) == b"ping"


def serial_of(connection: ssl.SSLSocket) -> int:
    shown = connection.getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)


def write(
    folder: Path,
    *,
    key_type: trustme.KeyType = trustme.KeyType.ECDSA,
    not_after: dt.datetime | None = None,
    not_before: dt.datetime | None = None,
) -> int:
    """Write a new certificate and its key; returns its serial number."""
    issued = AUTHORITY.issue_cert("localhost", key_type=key_type, not_after=not_after, not_before=not_before)
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return serial_in(issued.cert_chain_pems[0].bytes())


def serial_in(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


@pytest.fixture
def serial(tmp_path: Path) -> int:
    """Of the certificate in the test's folder."""
    return write(tmp_path)


@pytest.fixture
def server(tmp_path: Path, serial: int) -> Iterator[TlsServer]:
    running = TlsServer(Certificate(SETTINGS, folder=tmp_path))
    yield running
    running.close()


# --- what is spoken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(server: TlsServer, version: ssl.TLSVersion) -> None:
    with server.connect(oldest=version, newest=version) as connection:
        assert exchanged(connection)
        assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


@pytest.mark.parametrize(("version", "is_spoken"), [(0x0301, False), (0x0302, False), (0x0303, True)])
def test_older_versions_are_refused(server: TlsServer, version: int, is_spoken: bool) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as channel:
        channel.sendall(client_hello(version))
        answer = channel.recv(1)
    assert (answer == b"\x16") is is_spoken, "a handshake record"


def client_hello(version: int) -> bytes:
    """A greeting of that version: one of 1.2, changed, because today's OpenSSL makes no older one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    hello = bytearray(outgoing.read())
    assert hello[9:11] == b"\x03\x03"
    hello[9:11] = version.to_bytes(2, "big")
    return bytes(hello)


def test_a_stricter_minimum(tmp_path: Path, serial: int) -> None:
    strict = TlsSettings(certificate="tls.crt", key="tls.key", minimum_version="1.3")
    server = TlsServer(Certificate(strict, folder=tmp_path))
    try:
        assert server.serial() == serial
        with pytest.raises(ssl.SSLError):
            server.connect(newest=ssl.TLSVersion.TLSv1_2)
    finally:
        server.close()


def test_clients_that_do_not_shake_hands_are_no_event(tmp_path: Path, serial: int) -> None:
    server = TlsServer(Certificate(SETTINGS, folder=tmp_path))
    try:
        for greeting in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as channel:
                channel.sendall(greeting)
                channel.shutdown(socket.SHUT_WR)
                while channel.recv(100):
                    pass
        assert server.serial() == serial
    finally:
        complaints = server.close()
    assert complaints == []


def test_a_client_that_knows_http_2_too_is_told_which_one_is_spoken(server: TlsServer) -> None:
    with server.connect(protocols=["h2", "http/1.1"]) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_who_says_nothing_is_ended_and_who_reads_slowly_is_not(
    tmp_path: Path, serial: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither after the time that the loop takes by itself, a minute and half of one."""
    monkeypatch.setattr(certificates, "HANDSHAKE_TIMEOUT_S", 0.1)
    certificate = Certificate(SETTINGS, folder=tmp_path)
    assert certificate.options["ssl_shutdown_timeout"] > 3600
    server = TlsServer(certificate)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent:
            assert silent.recv(100) == b""
    finally:
        server.close()


# --- a new certificate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["localhost", None])
@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_new_connections_get_the_new_certificate(
    server: TlsServer,
    serial: int,
    tmp_path: Path,
    key_type: trustme.KeyType,
    name: str | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whether they name the server or not, and whatever kind of key it has."""
    with server.connect() as old:
        assert server.serial(name=name) == serial
        new = write(tmp_path, key_type=key_type)
        server.certificate.look()
        server.certificate.look()
        assert server.serial(name=name) == new != serial
        assert exchanged(old)
        assert serial_of(old) == serial
    assert "the new certificate is in use; it expires at " in capfd.readouterr().err


def test_files_that_are_still_being_written_are_not_taken(server: TlsServer, serial: int, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    new = write(other)
    (tmp_path / "tls.key").write_bytes((other / "tls.key").read_bytes())
    server.certificate.look()
    (tmp_path / "tls.crt").write_bytes((other / "tls.crt").read_bytes())
    server.certificate.look()
    assert server.serial() == serial
    server.certificate.look()
    assert server.serial() == new


def test_a_key_that_comes_long_after_its_certificate_is_noticed(
    server: TlsServer, serial: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    new = write(other)
    chain = (other / "tls.crt").read_bytes()
    (tmp_path / "tls.crt").write_bytes(chain)
    for _ in range(3):
        server.certificate.look()
    assert server.serial() == serial
    (tmp_path / "tls.key").write_bytes((other / "tls.key").read_bytes())
    for _ in range(2):
        server.certificate.look()
    assert server.serial() == new
    assert f" ({hashlib.sha256(chain).hexdigest()[:12]})\n" in capfd.readouterr().err


def test_a_broken_new_file_leaves_the_old_one_in_use(
    server: TlsServer, serial: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tls.crt").write_text("half a certif")
    for _ in range(5):
        server.certificate.look()
    assert server.serial() == serial
    said = capfd.readouterr().err
    assert said.count("not taken over, the old one stays in use: tls: ") == 1, "said once, not every second"
    (tmp_path / "tls.key").unlink()
    for _ in range(3):
        server.certificate.look()
    assert server.serial() == serial
    new = write(tmp_path)
    for _ in range(2):
        server.certificate.look()
    assert server.serial() == new


def test_files_that_cannot_be_read_for_a_while_are_taken_in_the_end(
    tmp_path: Path, serial: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """There was no descriptor to read them with: that there is one again is no change of theirs. The same goes for a
    key that somebody is given the right to read."""
    certificate = Certificate(SETTINGS, folder=tmp_path)
    write(tmp_path)
    with room_for(0):
        for _ in range(4):
            certificate.look()
    said = capfd.readouterr().err
    assert said.count("is not taken over, the old one stays in use: tls: ") == 1, "said once, not every second"
    assert "cannot be read: Too many open files" in said
    certificate.look()
    assert "the new certificate is in use" in capfd.readouterr().err


# --- what cannot be used ----------------------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        Certificate(SETTINGS, folder=folder)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named(tmp_path: Path, serial: int, name: str) -> None:
    (tmp_path / name).unlink()
    assert f"{tmp_path / name} cannot be read: No such file" in refusal(tmp_path)


@pytest.mark.parametrize(("name", "what"), [("tls.crt", "no certificate in PEM"), ("tls.key", "no private key in PEM")])
def test_a_file_of_another_kind_is_named(tmp_path: Path, serial: int, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(b"\x30\x82 not PEM")
    assert f"{tmp_path / name} holds {what}" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_damaged_file(tmp_path: Path, serial: int, name: str) -> None:
    lines = (tmp_path / name).read_text().splitlines()
    (tmp_path / name).write_text("\n".join([lines[0], lines[-1]]))
    assert str(tmp_path / name) in refusal(tmp_path)


def test_a_key_of_another_certificate(tmp_path: Path, serial: int) -> None:
    certificate = (tmp_path / "tls.crt").read_bytes()
    write(tmp_path)
    (tmp_path / "tls.crt").write_bytes(certificate)
    assert "tls.key does not match the certificate" in refusal(tmp_path)


def test_an_encrypted_key(tmp_path: Path, serial: int) -> None:
    path = tmp_path / "tls.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        encryption = serialization.BestAvailableEncryption(b"secret")
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
        assert "tls.key is encrypted" in refusal(tmp_path)


def test_an_expired_certificate_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    now = dt.datetime.now(dt.UTC)
    write(tmp_path, not_before=now - dt.timedelta(days=3), not_after=now - dt.timedelta(days=2))
    certificate = Certificate(SETTINGS, folder=tmp_path)
    certificate.look()
    said = capfd.readouterr().err
    assert len(re.findall(r"warning: the certificate expired at \d{4}-\d\d-\d\d", said)) == 1


def test_a_certificate_that_expires_while_it_is_in_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clock = dt.datetime.now(dt.UTC)
    write(tmp_path, not_after=clock + dt.timedelta(days=1))
    certificate = Certificate(SETTINGS, folder=tmp_path, now=lambda: clock.timestamp())
    certificate.look()
    assert "expired" not in capfd.readouterr().err
    clock += dt.timedelta(days=2)
    certificate.look()
    certificate.look()
    assert capfd.readouterr().err.count("warning: the certificate expired at ") == 1


def test_a_certificate_that_is_about_to_expire(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    begins = dt.datetime.now(dt.UTC).replace(microsecond=0)
    write(tmp_path, not_before=begins, not_after=begins + dt.timedelta(days=100))
    clock = begins + dt.timedelta(days=89)
    certificate = Certificate(SETTINGS, folder=tmp_path, now=lambda: clock.timestamp())
    assert "warning" not in capfd.readouterr().err
    clock += dt.timedelta(days=2)
    certificate.look()
    certificate.look()
    assert capfd.readouterr().err.count("warning: the certificate expires at ") == 1
    clock += dt.timedelta(days=10)
    certificate.look()
    assert capfd.readouterr().err.count("warning: the certificate expired at ") == 1


def test_a_certificate_that_is_not_valid_yet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clock = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    write(tmp_path, not_before=clock + dt.timedelta(days=1), not_after=clock + dt.timedelta(days=100))
    certificate = Certificate(SETTINGS, folder=tmp_path, now=lambda: clock.timestamp())
    assert capfd.readouterr().err.count("warning: the certificate is not valid before 2026-01-02 00:00:00 UTC: ") == 1
    clock += dt.timedelta(days=2)
    certificate.look()
    assert "warning" not in capfd.readouterr().err


def test_a_new_certificate_with_the_fault_of_the_old_one_is_a_warning_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    then = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    write(tmp_path, not_before=then, not_after=then + dt.timedelta(days=31))
    certificate = Certificate(SETTINGS, folder=tmp_path)
    write(tmp_path, not_before=then, not_after=then + dt.timedelta(days=31))
    certificate.look()
    certificate.look()
    said = capfd.readouterr().err
    assert said.count("warning: the certificate expired at 2020-02-01") == 2
    assert said.rindex("the new certificate is in use") < said.rindex("warning: ")


# --- the process ------------------------------------------------------------------------------------------------------


def test_only_a_certificate_loads_the_cryptography() -> None:
    program = "import sys, modelport_scoring.tls.certificate; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

"""Registries of images for tests: Debian's docker-registry on a port of this machine, and what may go wrong."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from own_ports import own_port

PATIENCE_S = 30

USER, PASSWORD = "team", "secret word"
_HTPASSWD = "team:$2b$05$wlNSt0nRM6jQwnwcBOzC4en6OofYS/UKqgo/v1viH2uU6GLjBGwES\n"
"""bcrypt of the password."""

_CONFIGURATION = """
version: 0.1
log:
  accesslog:
    disabled: false
storage:
  filesystem:
    rootdirectory: {folder}/data
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
{http}
{auth}
"""


@dataclass(frozen=True)
class Registry:
    """One that answers. ``address`` is what names of images begin with."""

    address: str
    folder: Path

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def requests(self, method: str) -> list[str]:
        """What was asked with that method, and what came of it."""
        return re.findall(rf'"({method} \S+) HTTP/1\.1" (?:\d+)', self.log())

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "data").rglob("data") if path.is_file())


@contextmanager
def registry(folder: Path, *, http: str = "", auth: str = "", scheme: str = "http") -> Iterator[Registry]:
    """A registry that keeps everything in the folder, and goes with the block."""
    program = shutil.which("docker-registry")
    assert program, "docker-registry is not installed: apt-get install docker-registry"
    folder.mkdir(parents=True, exist_ok=True)
    port = own_port()
    configuration = folder / "config.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, http=http, auth=auth))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(configuration)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _answers(port):
                assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield Registry(f"127.0.0.1:{port}" if scheme == "http" else f"localhost:{port}", folder)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def htpasswd(folder: Path) -> str:
    """The configuration of one that asks for user and password."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(_HTPASSWD)
    return f"auth:\n  htpasswd:\n    realm: tests\n    path: {folder}/htpasswd\n"


@dataclass(frozen=True)
class Authority:
    """A key with its certificate, both as files too."""

    key: rsa.RSAPrivateKey
    certificate_file: Path
    key_file: Path


def authority(folder: Path) -> Authority:
    """One for localhost, which signed itself."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return Authority(key, certificate_file, key_file)


@contextmanager
def token_server(made_by: Authority) -> Iterator[tuple[str, str, list[str]]]:
    """A server that gives tokens to the user; yields its URL, the configuration of a registry that sends clients to it,
    and the scopes that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            expected = httpx.BasicAuth(USER, PASSWORD)._auth_header
            if self.headers.get("Authorization") != expected:
                self.send_error(401)
                return
            asked.extend(scopes)
            self._answer(scopes)

        def _answer(self, scopes: list[str]) -> None:
            content = httpx.Response(200, json={"token": _token(made_by, scopes)}).content
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/token"
    auth = (
        f"auth:\n  token:\n    realm: {url}\n    service: tests\n    issuer: tests\n"
        f"    rootcertbundle: {made_by.certificate_file}\n"
    )
    try:
        yield url, auth, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _token(made_by: Authority, scopes: list[str]) -> str:
    now = int(time.time())
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    claims = {"iss": "tests", "sub": USER, "aud": "tests", "exp": now + 60, "nbf": now - 5, "iat": now}
    lines = made_by.certificate_file.read_text().strip().splitlines()
    header = {"alg": "RS256", "typ": "JWT", "x5c": ["".join(lines[1:-1])]}
    key = RSAKey.import_key(made_by.key_file.read_bytes())
    return jwt.encode(header, {**claims, "jti": os.urandom(8).hex(), "access": access}, key)


@contextmanager
def breaking_line(address: str, *, after_bytes: int, times: int, back: bool = False) -> Iterator[str]:
    """A way to the registry that breaks so many connections, each after so many bytes there (or back)."""
    host, _, port = address.partition(":")
    left = [times]
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(
                target=_carry, args=(client, (host, int(port)), after_bytes, left, back), daemon=True
            ).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.close()


def _carry(client: socket.socket, target: tuple[str, int], after_bytes: int, left: list[int], back: bool) -> None:
    server = socket.create_connection(target)
    forth = threading.Thread(target=_copy, args=(client, server, None if back else after_bytes, left), daemon=True)
    forth.start()
    _copy(server, client, after_bytes if back else None, left)
    forth.join()
    client.close()
    server.close()


def _copy(source: socket.socket, target: socket.socket, after_bytes: int | None, left: list[int]) -> None:
    count = 0
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
            count += len(data)
            if after_bytes is not None and count > after_bytes and left[0] > 0:
                left[0] -= 1
                break
    except OSError:
        pass
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

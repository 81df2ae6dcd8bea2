"""Routers as processes, for the tests."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from own_ports import own_port
from scoring_services import PATIENCE_S, Answer, RunningService, ask, wait_until


class RunningRouter:
    """A router and its file."""

    def __init__(self, folder: Path, urls: Mapping[int, str], **settings: Any) -> None:
        self.file = folder / "router.json"
        self.output = folder / "router.log"
        self.port = own_port()
        self.prefix: list[str] = []
        """What the program is started by."""
        self.wanted: dict[str, Any] = {
            "name": "demo",
            "port": self.port,
            "default": next(iter(urls)),
            "upstreams": [{"revision": number, "version": f"v{number}", "url": url} for number, url in urls.items()],
            **settings,
        }
        self.tell()
        self.process: subprocess.Popen[bytes] | None = None

    def tell(self, **changes: Any) -> None:
        """Write other settings."""
        self.wanted |= changes
        aside = self.file.with_suffix(".new")
        aside.write_text(json.dumps(self.wanted))
        aside.rename(self.file)

    def start(self) -> RunningRouter:
        command = [*self.prefix, sys.executable, "-P", "-m", "modelport_scoring.router", "--settings", str(self.file)]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        wait_until(lambda: "listens on" in self.log or self.process.poll() is not None, what="the router")  # type: ignore[union-attr]
        return self

    def end(self) -> int:
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def log(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while re.search(text, self.log) is None:
            assert time.monotonic() < deadline, f"{text}: {self.log}"
            time.sleep(0.02)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask(
        self, method: str, path: str, *, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = self.connect()
        try:
            return ask(connection, method, path, body=body, headers=headers)
        finally:
            connection.close()

    def score(self, body: bytes | str = "x", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/score", body=body, headers=named)

    def raw(self, data: bytes, *, patience_s: float = PATIENCE_S) -> bytes:
        """Send the bytes, and return all that comes until the router closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience_s) as channel:
            channel.sendall(data)
            received = b""
            while chunk := channel.recv(65536):
                received += chunk
            return received

    def metric(self, line: str) -> float:
        """The value of that line of ``/metrics``."""
        text = self.ask("GET", "/metrics").body.decode()
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        return 0.0 if found is None else float(found[1])


@contextmanager
def routing(folder: Path, urls: dict[int, str], **settings: Any) -> Iterator[RunningRouter]:
    """A router before the servers with these addresses, by the number of their version; it ends well."""
    router = RunningRouter(folder, urls, **settings).start()
    try:
        yield router
    finally:
        assert router.end() == 0, router.log
    assert "Traceback" not in router.log, router.log


def url(service: RunningService) -> str:
    return f"http://127.0.0.1:{service.settings.port}"

"""What is said of an engine that fails."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from modelport.domain.errors import WebserviceException
from modelport.targets.container.engine import Engine, EngineGone
from modelport.targets.container.image import ServiceImage
from modelport.targets.container.loading import load, load_holder
from modelport.targets.container.parts import Server

FULL = "write /var/lib/docker/tmp: no space left on device"


class FullEngine(http.server.BaseHTTPRequestHandler):
    """An engine's API as far as loading an image needs it, of one whose disk is full."""

    def do_GET(self) -> None:
        answers = {
            "version": {"ApiVersion": "1.41"},
            "info": {"Architecture": "x86_64"},
            "archive?path=%2Freport.json": {"no": "archive"},
        }
        answer = answers.get(self.path.rpartition("/")[2])
        self._answer(200 if answer else 404, answer or {"message": "No such image"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"errorDetail": {"message": FULL}, "error": FULL})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *arguments: object) -> None:
        return None


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Engine]:
    with socketserver.UnixStreamServer(str(tmp_path / "engine.sock"), FullEngine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Engine(f"unix://{tmp_path}/engine.sock")
        server.shutdown()
        thread.join()


def test_half_an_archive_is_an_error_of_the_engine(full: Engine) -> None:
    with full.connected() as client:
        server = Server(Container(attrs={"Id": "1", "Name": "/svc-1"}, client=client))
        with pytest.raises(WebserviceException, match=r"does not give /report\.json of svc-1 whole"):
            server.read("/report.json")


def test_an_engine_without_space_says_so(full: Engine) -> None:
    def write(reference: str, file: Path, without: frozenset[str]) -> None:
        file.write_bytes(b"tar")

    image = ServiceImage(config_digest="sha256:1", diff_ids=(), write=write)
    with pytest.raises(WebserviceException, match=FULL) as caught, full.connected() as client:
        load(client, image, "localhost/modelport/ws/svc:1")
    assert not isinstance(caught.value, EngineGone)
    with pytest.raises(WebserviceException, match="no space left"), full.connected() as client:
        load_holder(client)

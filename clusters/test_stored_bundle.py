"""The way without an image of its own: pods fetch what they serve."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clusters.bench import Bench, ask
from clusters.node import Node
from modelport import Model
from modelport.domain.errors import WebserviceException


class Store(ThreadingHTTPServer):
    """Keeps what is put, by its path."""

    daemon_threads = True

    def __init__(self, folder: Path, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.folder = folder
        self.taken: list[str] = []
        self.damages = False

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/models"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_PUT(self) -> None:
        file = self.server.folder / self.path.lstrip("/").replace("/", "-")
        file.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.taken.append(self.path)
        file = self.server.folder / self.path.lstrip("/").replace("/", "-")
        content = file.read_bytes() if file.is_file() else b""
        if self.server.damages:
            content = content.replace(b"init of", b"INIT OF")
        self.send_response(200 if file.is_file() else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def store(node: Node, tmp_path: Path) -> Iterator[Store]:
    """At the node's address, which this machine and the pods reach."""
    (tmp_path / "store").mkdir()
    addresses = node.api("/api/v1/nodes/localhost").json()["status"]["addresses"]
    host = next(one["address"] for one in addresses if one["type"] == "InternalIP")
    with Store(tmp_path / "store", host) as store:
        thread = threading.Thread(target=store.serve_forever)
        thread.start()
        yield store
        store.shutdown()
        thread.join()


def test_pods_fetch_what_they_serve(bench: Bench, store: Store) -> None:
    """Bundle, model and environment come from the store; another version is another bundle in the same image."""
    target = bench.attach("fetching", store=store.address)
    (bench.folder / "number.txt").write_text("42")
    model = Model.register(bench.workspace, str(bench.folder / "number.txt"), "number")
    reads = {
        "init": "global number; number = open(os.environ['AZUREML_MODEL_DIR'] + '/number.txt').read()",
        "run": "import idna; return [number, idna.__version__]",
    }
    service = bench.deploy(
        "line", bench.inference("one", packages=("idna==3.10",), **reads), models=[model], target=target
    )
    assert ask(service) == ["42", "3.10"]
    (pod,) = bench.pods("line")
    (init,), (container,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert "/modelport-serving:3.11-" in init["image"]
    assert {Path(path).parent.name for path in store.taken} == {"bundles", "environments"}

    service.update(inference_config=bench.inference("two", packages=("idna==3.10",)))
    assert ask(service) == "two"
    (pod,) = bench.pods("line")
    assert pod["spec"]["containers"][0]["image"] == container["image"]


def test_what_is_not_what_was_meant_is_not_served(bench: Bench, store: Store) -> None:
    """Somebody has changed the script in the store."""
    store.damages = True
    with pytest.raises(WebserviceException, match=r"could not be fetched.*SHA-256"):
        bench.deploy("line", bench.inference("one"), target=bench.attach("fetching", store=store.address))
    assert any("bundles" in path for path in store.taken)

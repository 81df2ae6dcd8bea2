"""A store of objects that pods fetch from: a server of files on this machine."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


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

"""A small double of the scoring server: starts a real worker and speaks frames with it."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import socket
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import azureml
import modelport_worker
from modelport_worker.frames import (
    CHUNK,
    FAILED,
    HEADER,
    HEADER_SIZE,
    LAST,
    MEMORY_SIZE,
    MORE,
    PHASE,
    QUERY,
    READY,
    RESULT,
    SCORE,
    STARTED,
    STOP,
    pack,
)

PROGRAM = Path(modelport_worker.__path__[0]) / "__main__.py"
AZUREML = Path(azureml.__path__[0])
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Received:
    """One frame from the worker."""

    id: int
    kind: int
    flags: int
    code: int
    micros: int
    payload: bytes
    meta: bytes

    @property
    def text(self) -> str:
        return self.payload.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.payload)

    @property
    def headers(self) -> list[list[str]]:
        return json.loads(self.meta) if self.meta else []


class WorkerProcess:
    """A worker in its own process, and the server's end of its link."""

    def __init__(
        self,
        interpreter: str,
        app: Path,
        script: str,
        *,
        environment: Mapping[str, str],
        log: Path,
        together: int = 1,
        wait_ms: float = 0.0,
        lowest_fd: int = 3,
    ) -> None:
        """``lowest_fd``: the descriptor of the worker's end is this one, or a higher one."""
        self.log = log
        self._next_id = 1
        self._buffer = b""
        self.connection, theirs = socket.socketpair()
        self.connection.settimeout(DEADLINE_S)
        with theirs, tempfile.TemporaryFile() as page, log.open("wb") as output, moved(theirs, to=lowest_fd) as channel:
            page.truncate(MEMORY_SIZE)
            self.page = mmap.mmap(page.fileno(), MEMORY_SIZE)
            fds = (channel.fileno(), page.fileno())
            descriptors = ["--socket", str(fds[0]), "--page", str(fds[1])]
            options = ["--azureml", str(AZUREML), "--together", str(together), "--wait-ms", str(wait_ms)]
            self.process = subprocess.Popen(
                [interpreter, str(PROGRAM), *descriptors, *options],
                cwd=app,
                env={**clean_environment(), "AML_APP_ROOT": str(app), "AZUREML_ENTRY_SCRIPT": script, **environment},
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self.page.close()
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def receive(self) -> Received | None:
        """The next frame; None at the end of the stream."""
        while True:
            if len(self._buffer) >= HEADER_SIZE:
                request_id, payload, meta, micros, code, kind, flags = HEADER.unpack_from(self._buffer)
                stop = HEADER_SIZE + meta + payload
                if len(self._buffer) >= stop:
                    head = self._buffer[HEADER_SIZE : HEADER_SIZE + meta]
                    body = self._buffer[HEADER_SIZE + meta : stop]
                    self._buffer = self._buffer[stop:]
                    return Received(request_id, kind, flags, code, micros, body, head)
            try:
                more = self.connection.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self._buffer += more

    def start(self) -> dict[str, Any]:
        """What READY says. Fails the test where the worker fails."""
        frame = self.start_frame()
        assert frame is not None, f"the worker left without a word:\n{self.output}"
        assert frame.kind == READY, frame.text
        ready: dict[str, Any] = frame.json
        return ready

    def start_frame(self) -> Received | None:
        """READY or FAILED, or None; the phases before are kept in ``phases``."""
        self.phases: list[str] = []
        while (frame := self.receive()) is not None and frame.kind == PHASE:
            self.phases.append(frame.text)
        return frame

    def failure(self) -> dict[str, str]:
        """What FAILED says; the worker has left with status 3."""
        frame = self.start_frame()
        assert frame is not None, f"the worker left without a word:\n{self.output}"
        assert frame.kind == FAILED, frame.text
        assert self.process.wait(DEADLINE_S) == 3
        failure: dict[str, str] = frame.json
        return failure

    def send(self, body: bytes = b"", *, query: str | None = None, request: Mapping[str, Any] | None = None) -> int:
        """Send a request without waiting; its number."""
        request_id = self._next_id
        self._next_id += 1
        self.connection.sendall(score_frame(request_id, body, query=query, request=request))
        return request_id

    def send_at_once(self, *bodies: bytes) -> int:
        """Send several requests by one write, whatever the first does to the worker; the number of the first."""
        first = self._next_id
        self._next_id += len(bodies)
        self.connection.sendall(b"".join(score_frame(first + place, body) for place, body in enumerate(bodies)))
        return first

    def ask(
        self, body: bytes | str = b"", *, query: str | None = None, request: Mapping[str, Any] | None = None
    ) -> Received:
        """One request and its answer."""
        request_id = self.send(body.encode() if isinstance(body, str) else body, query=query, request=request)
        frame = self.receive()
        assert frame is not None, f"the worker left:\n{self.output}"
        assert (frame.kind, frame.id) == (RESULT, request_id)
        return self.join_chunks(frame) if frame.flags & MORE else frame

    def join_chunks(self, result: Received) -> Received:
        """The result and the body that follows it, as if they had come as one."""
        body = b""
        while True:
            chunk = self.receive()
            assert chunk is not None, f"the worker left:\n{self.output}"
            assert (chunk.kind, chunk.id) == (CHUNK, result.id)
            body += chunk.payload
            if chunk.flags:
                assert chunk.flags == LAST
                return replace(result, payload=body)

    def stop(self) -> int:
        """Send STOP; the exit status."""
        self.connection.sendall(pack(0, STOP))
        return self.process.wait(DEADLINE_S)

    @property
    def started(self) -> int:
        """The number in the shared page."""
        number: int = STARTED.unpack_from(self.page)[0]
        return number

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for_output(self, text: str) -> str:
        """The log as soon as it holds the text."""
        give_up = time.monotonic() + DEADLINE_S
        while text not in self.output:
            assert time.monotonic() < give_up, f"{text!r} never came:\n{self.output}"
            time.sleep(0.005)
        return self.output


def moved(channel: socket.socket, *, to: int) -> socket.socket:
    """The same socket by another descriptor, from that number on."""
    return socket.socket(fileno=fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, to))


def score_frame(
    request_id: int, body: bytes, *, query: str | None = None, request: Mapping[str, Any] | None = None
) -> bytes:
    meta = json.dumps(request).encode() if request is not None else b""
    payload, flags = (query.encode(), QUERY) if query is not None else (body, 0)
    return pack(request_id, SCORE, payload, meta, flags)


def clean_environment() -> dict[str, str]:
    """The caller's variables without those that steer Python or a service."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AZUREML", "AML", "COV"))
    }


@dataclass
class App:
    """An app root under construction."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def worker(self, interpreter: str, script: str = "score.py", **environment: str) -> WorkerProcess:
        return WorkerProcess(
            interpreter, self.root, script, environment=environment, log=self.root.parent / "worker.log"
        )

    def batch(
        self, interpreter: str, code: str, *, together: int = 64, wait_ms: float = 0.0, lowest_fd: int = 3
    ) -> WorkerProcess:
        """A worker of the entry script ``code`` that scores so many requests together."""
        self.write("score.py", code)
        return WorkerProcess(
            interpreter,
            self.root,
            "score.py",
            environment={},
            log=self.root.parent / "worker.log",
            together=together,
            wait_ms=wait_ms,
            lowest_fd=lowest_fd,
        )

    def run(self, interpreter: str, code: str, **environment: str) -> WorkerProcess:
        """A worker of the entry script ``code``."""
        self.write("score.py", code)
        return self.worker(interpreter, **environment)

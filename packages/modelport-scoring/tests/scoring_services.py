"""Real services for the tests: bundles written by hand, supervisors started as processes, and clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from modelport_scoring import (
    ControlClient,
    RevisionSettings,
    ServiceNotRunning,
    ServiceSettings,
    ServiceState,
    Status,
    log_path,
    read_settings,
    supervisor_command,
    supervisor_log_path,
    write_settings,
)
from modelport_scoring.processes.status import STATE, read_status
from modelport_scoring.supervision.service_lock import is_alive
from own_ports import own_port

FAKE_WORKER = Path(__file__).parent / "fake_worker.py"
PATIENCE_S = 20.0

ECHO = """
def init():
    pass

def run(data):
    return data
"""


def wait_until(condition: Callable[[], bool], *, what: str, patience_s: float = 3 * PATIENCE_S) -> None:
    """Poll until the condition holds; fails the test where it does not in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {patience_s} s: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Gate:
    """What scripts wait at until the test opens it: they take as long as the test needs, whatever the machine does."""

    path: Path

    @property
    def wait(self) -> str:
        """The statement, for a script that has imported ``os`` and ``time``."""
        return f"while not os.path.exists({str(self.path)!r}): time.sleep(0.005)"

    def open(self) -> None:
        self.path.touch()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass
class RunningService:
    """One service and its folder."""

    folder: Path
    bundles: Path
    process: subprocess.Popen[bytes] | None = None
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.folder)

    @property
    def settings(self) -> ServiceSettings:
        return read_settings(self.folder)

    @property
    def status(self) -> Status:
        return self.control.status()

    @property
    def log(self) -> str:
        return log_path(self.folder, self.settings.revision.number).read_text()

    @property
    def supervisor_log(self) -> str:
        return supervisor_log_path(self.folder).read_text()

    def logs(self) -> str:
        """Of every process: the last 20,000 characters of each."""
        return "\n".join(path.read_text(errors="replace")[-20000:] for path in self.folder.glob("logs/*.log"))

    def sockets(self) -> str:
        """What the system knows of its port: of the listening socket, the queue is who waits to be accepted."""
        port = f":{self.settings.port:04X} "
        return "\n".join(line for line in Path("/proc/net/tcp").read_text().splitlines() if port in line)

    def start(self, *, until: ServiceState | None = ServiceState.RUNNING) -> RunningService:
        """Start the supervisor and wait for the state."""
        self.process = subprocess.Popen(supervisor_command(self.folder), start_new_session=True)
        if until is not None:
            self.wait_for(until)
        return self

    def wait_for(self, state: ServiceState) -> Status:
        wait_until(lambda: self._state() is state, what=f"state {state}, log: {self.logs()}")
        return self.status

    def end(self) -> None:
        """Stop it as its owner would; afterwards none of its processes is left."""
        for connection in self.connections:
            connection.close()
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            kill_session(self.process.pid)

    def revision(self, number: int, script: str, *, fake: bool = False, **more: Any) -> RevisionSettings:
        """A new bundle with that script."""
        bundle = write_bundle(self.bundles / str(number), script)
        interpreter = [sys.executable, str(FAKE_WORKER)] if fake else [sys.executable]
        return RevisionSettings(number=number, bundle=str(bundle), interpreter=interpreter, **more)

    # --- clients ------------------------------------------------------------------------------------------------------

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=PATIENCE_S)
        self.connections.append(connection)
        return connection

    def ask(
        self, method: str, path: str, *, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = self.connect()
        try:
            return ask(connection, method, path, body=body, headers=headers)
        finally:
            connection.close()

    def score(self, body: bytes | str, *, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("POST", "/score", body=body, headers=headers)

    def raw(self, data: bytes, *, patience_s: float = PATIENCE_S) -> bytes:
        """Send the bytes and return all that comes until the server closes."""
        with self.raw_connection(patience_s=patience_s) as channel:
            channel.sendall(data)
            return read_all(channel)

    def raw_connection(self, *, patience_s: float = PATIENCE_S) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.settings.port), timeout=patience_s)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _state(self) -> ServiceState | None:
        try:
            return self.status.state
        except ServiceNotRunning:
            return None


class Services:
    """Makes services and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[RunningService] = []

    def make(
        self,
        script: str = ECHO,
        *,
        fake: bool = False,
        folder: Path | None = None,
        models: Mapping[str, str] | None = None,
        limits: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> RunningService:
        """A service that does not run yet. ``script`` is an entry script, or with ``fake`` a behaviour's name."""
        number = len(self.made)
        service = RunningService(
            folder=folder or self._folder / f"service-{number}", bundles=self._folder / f"bundles-{number}"
        )
        service.folder.mkdir(parents=True)
        self.made.append(service)
        bundle = write_bundle(service.bundles / "1", script, models=models)
        interpreter = [sys.executable, str(FAKE_WORKER)] if fake else [sys.executable]
        wanted = {
            "name": "demo",
            "workspace": "tests",
            "revision": {
                "number": 1,
                "bundle": str(bundle),
                "interpreter": interpreter,
                "environment_variables": dict(variables or {}),
            },
            "limits": dict(limits or {}),
            "port": own_port(),  # it is still there for a service that starts again
            **settings,
        }
        write_settings(service.folder, msgspec.convert(wanted, ServiceSettings))
        return service

    def start(
        self, script: str = ECHO, *, until: ServiceState | None = ServiceState.RUNNING, **more: Any
    ) -> RunningService:
        return self.make(script, **more).start(until=until)

    def end(self) -> None:
        for service in self.made:
            service.end()


def write_bundle(bundle: Path, script: str, *, models: Mapping[str, str] | None = None) -> Path:
    """A bundle with the script in ``app/source/score.py``, and models of one file each: name to content."""
    source = bundle / "app" / "source"
    source.mkdir(parents=True)
    (source / "score.py").write_text(textwrap.dedent(script))
    for name, content in (models or {}).items():
        folder = bundle / "azureml-models" / name / "1"
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text(content)
    manifest = {
        "format": 1,
        "entry_script": "source/score.py",
        "source_directory": "source",
        "models": [
            {"name": name, "version": "1", "framework": None, "framework_version": None} for name in models or {}
        ],
        "environment": {"name": "none", "kind": "system", "lock_digest": "", "python": "3"},
        "environment_variables": {"FROM_BUNDLE": "yes"},
        "files": [],
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    connection.request(method, path, body=body, headers=dict(headers or {}))
    response = connection.getresponse()
    lower = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=lower, body=response.read())


class Server(Protocol):
    def connect(self) -> http.client.HTTPConnection: ...


@contextmanager
def load(
    server: Server, *, clients: int = 4, body: str = "x", headers: Mapping[str, str] | None = None
) -> Iterator[Counter[Any]]:
    """Clients that ask without a pause; counts the answers by status and body, and every error."""
    seen: Counter[Any] = Counter()
    stop = threading.Event()

    def client() -> None:
        connection = server.connect()
        while not stop.is_set():
            try:
                answer = ask(connection, "POST", "/score", body=body, headers=headers)
                seen[answer.status, answer.body] += 1
            except Exception as error:
                seen[repr(error)] += 1
                connection.close()
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: seen.total() > 100, what="load")
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def takes_leave(port: int) -> bool:
    """Whether who connects there is told that the connection ends with its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        return ask(connection, "GET", "/").headers.get("connection") == "close"
    finally:
        connection.close()


def refuses(port: int) -> bool:
    """Whether nobody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False


def read_all(channel: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    while chunk := channel.recv(65536):
        received += chunk
    return received


def kill_session(leader: int) -> None:
    """Kill what runs in that session, all at once: none of it can still act upon another one's end.

    The supervisor before its scoring server, and that after its workers, which it has started: nobody else has the
    listening socket when it ends with the server's connections.
    """
    # D: who waits for a child to begin with its program, which is stopped, does nothing either.
    wait_until(lambda: {stop(pid) for pid in session_members(leader)} <= set("TDX"), what="all are stopped")
    for pid in sorted(session_members(leader), key=lambda pid: (pid != leader, -pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def stop(pid: int) -> str:
    """Stop the process: that is so once its state, which is returned, is T, or X where it has ended.

    It stops when it is its turn on a processor, and not before.
    """
    try:
        os.kill(pid, signal.SIGSTOP)
        state = read_status(pid)[STATE]
    except (ProcessLookupError, FileNotFoundError):
        return "X"
    return "X" if state == "Z" else state


def has_pending(pid: int, number: signal.Signals) -> bool:
    """Whether it has been sent to the process, which is stopped."""
    (pending,) = re.findall(r"^ShdPnd:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return bool(int(pending, 16) >> (number - 1) & 1)


def session_members(session: int) -> list[int]:
    """The processes of that session that have not ended."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == session and is_alive(int(entry.name)):
                    members.append(int(entry.name))
            except (ProcessLookupError, PermissionError):
                continue
    return members

"""The process above the scoring server: it owns the socket and the lock, and starts the server again when it dies.

It imports little, because it lives as long as the service and does nothing most of the time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from modelport_scoring import service_lock
from modelport_scoring.backoff import BackOff
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.failures import Failure, describe_exit
from modelport_scoring.journal import cut_logs, say, write_as
from modelport_scoring.service_folder import (
    LOGS,
    SETTINGS,
    WORK,
    clear_failure,
    read_settings,
    supervisor_log_path,
    write_failure,
    write_settings,
)
from modelport_scoring.settings import Limits, ServiceSettings
from modelport_scoring.telemetry.counters import share_memory

TICK_S = 1.0
"""How often the logs are measured."""

BACKLOG = 1024
STOP_SIGNALS = frozenset((signal.SIGTERM, signal.SIGINT))
STATUS_FAILED = 1

STATUS_SCRIPT_FAILED = 3
"""Where the script could not be started and the service ends with it; as the gunicorn of v1's images ended."""

STATUS_CANNOT_SERVE = 4
"""The scoring server's, where the settings do not allow it to serve; it has written why."""


class CannotServe(Exception):
    """The supervisor gives up before it serves; the message is for whoever deploys."""


def supervisor_command(folder: Path | str) -> list[str]:
    """The argv that starts the supervisor of that folder. Start it in a session of its own (``start_new_session``)."""
    return [sys.executable, "-P", "-m", "modelport_scoring", str(folder)]


def supervise(folder: Path) -> int:
    """The supervisor's life; returns its exit status: 0 after a stop, 1 where it could not serve, 3 where the script
    could not be started and the settings say that the service ends then.

    In the second case ``failure.json`` says why, unless another supervisor has the folder. Raises
    ServiceAlreadyRunning for that, and OSError for a folder that is none.
    """
    os.chdir(folder)
    with contextlib.suppress(PermissionError):
        os.setsid()
    lock = service_lock.acquire(Path())
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})
    clear_failure(Path())
    try:
        redirect_output()
        settings = read_settings(Path())
        write_as(settings.telemetry.log_format)
        listening = open_socket(settings)
        write_port(settings, listening)
    except (SettingsInvalid, CannotServe, OSError) as error:
        return give_up(error)
    return Supervisor(listening, lock=lock, parent=settings.ends_with_process).run()


def redirect_output() -> None:
    """Send what this process and the scoring server print to the log. Raises OSError."""
    for name in (LOGS, WORK):
        Path(name).mkdir(mode=0o700, exist_ok=True)
    log = os.open(supervisor_log_path(Path()), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)


def open_socket(settings: ServiceSettings) -> socket.socket:
    """Listen where the settings say. Raises CannotServe, which names the address and the reason."""
    where = f"{settings.host}, port {settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(f"{where} is taken: another program listens there. Choose another port") from error
        raise CannotServe(f"{where} cannot be listened on: {error.strerror or error}") from error
    return listening


def write_port(settings: ServiceSettings, listening: socket.socket) -> None:
    """Write the port that the system chose into ``service.json``. Raises CannotServe."""
    if settings.port:
        return
    try:
        write_settings(Path(), msgspec.structs.replace(settings, port=listening.getsockname()[1]))
    except OSError as error:
        raise CannotServe(f"{SETTINGS} could not be written: {error.strerror}") from error


def give_up(error: Exception) -> int:
    """Say why in the log and in ``failure.json``, and return the exit status."""
    say(f"the service cannot be served: {error}")
    with contextlib.suppress(OSError):
        write_failure(Path(), Failure(phase="start", type=type(error).__name__, message=str(error)))
    return STATUS_FAILED


class Supervisor:
    """Keeps one scoring server running until it is told to stop."""

    def __init__(self, listening: socket.socket, *, lock: int, parent: int | None) -> None:
        self._listening = listening
        self._lock = lock
        self._parent = parent
        self._lifeline, self._life = os.pipe()
        self._backoff = BackOff()
        self._stopping = False
        self._metrics = share_memory()
        self._has_served = False
        self._settings_read_at = 0
        self._limits = Limits()

    def run(self) -> int:
        """Returns 0 after a stop, 1 where the first server could not serve, and 3 where the service ends with a script
        that cannot be started."""
        while not self._stopping:
            born = time.monotonic()
            returncode = self._serve()
            if returncode == 0 or self._stopping:
                break
            if returncode == STATUS_SCRIPT_FAILED:
                return returncode
            if returncode == STATUS_CANNOT_SERVE and not self._has_served:
                return STATUS_FAILED
            self._has_served = True
            delay_s = self._backoff.after(time.monotonic() - born)
            say(f"the scoring server ended ({describe_exit(returncode)}); it is started again in {delay_s:g} s")
            self._sleep(delay_s)
        say("the service has stopped")
        return 0

    def _serve(self) -> int:
        """Run one scoring server to its end; returns its return code."""
        with self._start_server() as server:
            while server.poll() is None:
                if self._wait(TICK_S) and server.poll() is None:
                    server.terminate()
                reap_others(server.pid)
                self._cut_logs()
            end_descendants()
            return server.returncode

    def _start_server(self) -> subprocess.Popen[bytes]:
        # The server reads the end of the lifeline when this process, which alone holds its other end, is gone.
        descriptors = (self._listening.fileno(), self._lifeline, self._lock, self._metrics)
        command = [sys.executable, "-P", "-m", "modelport_scoring.server"]
        command += ["--listen", str(descriptors[0]), "--lifeline", str(descriptors[1])]
        command += ["--metrics", str(self._metrics)]
        return subprocess.Popen(command, pass_fds=descriptors)

    def _wait(self, seconds: float) -> bool:
        """Wait for a signal, so long at most; returns whether it is time to stop."""
        received = signal.sigtimedwait(STOP_SIGNALS | {signal.SIGCHLD}, seconds)
        told = received is not None and received.si_signo != signal.SIGCHLD
        if not told and not self._is_left_alone():
            return False
        self._stopping = True
        # From here on nobody shall connect, also while the server still finishes what it holds.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        return True

    def _is_left_alone(self) -> bool:
        """Whether the process is gone that this service is to end with."""
        return self._parent is not None and os.getppid() != self._parent

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            self._wait(left)

    def _cut_logs(self) -> None:
        """By the settings of the moment."""
        with contextlib.suppress(OSError, SettingsInvalid):
            changed = Path(SETTINGS).stat().st_mtime_ns
            if changed != self._settings_read_at:
                self._settings_read_at = changed
                settings = read_settings(Path())
                self._limits = settings.limits
                write_as(settings.telemetry.log_format)
        cut_logs(Path(LOGS), limit=self._limits.log_bytes)


def reap_others(server: int) -> None:
    """Take leave of processes that ended and were left to us, which the first process of a container is for. The
    scoring server's own end is for whoever waits for it."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != server:
            os.waitpid(ended.si_pid, 0)


def end_descendants() -> None:
    """End what a scoring server that died has left behind: the rest of our session, where it is our own."""
    if os.getsid(0) != os.getpid():
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and session_of(int(entry.name)) == os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), signal.SIGKILL)


def session_of(pid: int) -> int | None:
    """The session of that process, None where it has gone."""
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None

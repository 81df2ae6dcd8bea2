"""The process above the scoring servers: it owns the socket and the lock, and starts one again when it dies.

It imports little, because it lives as long as the service and does nothing most of the time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from modelport_scoring.errors import ServiceAlreadyRunning, SettingsInvalid
from modelport_scoring.failures import Failure
from modelport_scoring.logs.journal import cut_logs, say, write_as
from modelport_scoring.processes.exit_statuses import STATUS_CANNOT_SERVE, STATUS_FAILED, STATUS_SCRIPT_FAILED
from modelport_scoring.processes.resources import describe_short_files
from modelport_scoring.service_folder import (
    LOGS,
    SETTINGS,
    WORK,
    clear_failure,
    read_settings,
    read_with_notes,
    supervisor_log_path,
    write_failure,
)
from modelport_scoring.settings.service import Limits
from modelport_scoring.sockets.handover import LINGER_S, Handover
from modelport_scoring.sockets.meeting import HandoverFailed
from modelport_scoring.supervision import service_lock
from modelport_scoring.supervision.listening import CannotServe, find_sockets, write_port
from modelport_scoring.supervision.orphans import adopt_orphans, end_descendants, end_hung_servers, end_orphans
from modelport_scoring.supervision.server_process import ServerProcess
from modelport_scoring.supervision.succession import Succession
from modelport_scoring.supervision.told import LEAVE
from modelport_scoring.telemetry.counters import share_memory

TICK_S = 1.0
"""How often the logs are measured."""
FLOODED_TICK_S = 0.1
"""And how often where one is written without end."""

KILL_AFTER_S = 5.0
"""How much longer than ``limits.drain_timeout_s`` a server may take to end."""

STOP_SIGNALS = frozenset((signal.SIGTERM, signal.SIGINT))
HANGUP = signal.SIGHUP
"""The terminal has gone that this was started at: a stop, as Ctrl-C there. A service with a session of its own has
none; there it comes from whoever rotates logs, for one, and must not end the service."""

WAITED_SIGNALS = STOP_SIGNALS | {signal.SIGCHLD, LEAVE, HANGUP}


def supervisor_command(folder: Path | str) -> list[str]:
    """The argv that starts the supervisor of that folder. Start it in a session of its own (``start_new_session``)."""
    return [sys.executable, "-P", "-m", "modelport_scoring", str(folder)]


def supervise(
    folder: Path,
    *,
    beside: Sequence[Callable[[], None]] = (),
    handover: Handover | None = None,
    lingers: bool = False,
) -> int:
    """The supervisor's life; returns its exit status: 0 after a stop, 1 where it could not serve, 3 where the script
    could not be started and the settings say that the service ends then. What goes on ``beside`` runs in threads, and
    never ends. ``handover``: the socket is taken over from the supervisor that serves, if any, and handed to the next.
    ``lingers``: a stop does not end connections without a request at once, since clients may be sending one.

    In the second case ``failure.json`` says why, unless another supervisor has the folder. Raises
    ServiceAlreadyRunning for that, and OSError for a folder that is none.
    """
    os.chdir(folder)
    with contextlib.suppress(PermissionError):
        os.setsid()
    adopt_orphans()
    lock = take_lock()
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_SIGNALS)
    clear_failure(Path())
    end_orphans(Path())
    try:
        redirect_output()
        if (short_files := describe_short_files()) is not None:
            raise CannotServe(short_files)
        settings, notes = read_with_notes(Path())
        write_as(settings.telemetry.log_format)
        for note in notes:
            say(f"{SETTINGS}: {note}")
        listening, probed = find_sockets(settings, handover)
        write_port(settings, listening)
    except (SettingsInvalid, CannotServe, HandoverFailed, OSError) as error:
        return give_up(error)
    for work in beside:
        threading.Thread(target=work, daemon=True).start()
    succession = None if handover is None else Succession(handover, servers=settings.server_processes)
    supervisor = Supervisor(
        listening,
        probed=probed,
        lock=lock,
        processes=settings.server_processes,
        parent=settings.ends_with_process,
        succession=succession,
        lingers=lingers,
    )
    if succession is not None:
        threading.Thread(target=succession.run, daemon=True).start()
    return supervisor.run()


def take_lock() -> int:
    """The descriptor that holds the lock of the folder that we are in. Raises ServiceAlreadyRunning."""
    try:
        return service_lock.acquire(Path())
    except ServiceAlreadyRunning:
        if not end_hung_servers(Path()):
            raise
        return service_lock.acquire(Path())


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


def give_up(error: Exception) -> int:
    """Say why in the log and in ``failure.json``, and return the exit status."""
    say(f"the service cannot be served: {error}")
    with contextlib.suppress(OSError):
        write_failure(Path(), Failure(phase="start", type=type(error).__name__, message=str(error)))
    return STATUS_FAILED


class Supervisor:
    """Keeps the scoring servers running until it is told to stop."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        probed: socket.socket | None = None,
        lock: int,
        processes: int,
        parent: int | None,
        succession: Succession | None = None,
        lingers: bool = False,
    ) -> None:
        """``probed``: another socket for the same; ``parent``: the process that this service is to end with, if any;
        ``succession``: where others may have the socket before and after us."""
        self._lingers = lingers
        self._succession = succession
        self._listening = listening
        self._probed = probed
        self._lock = lock
        self._parent = parent
        self._lifeline, self._life = os.pipe()
        self._metrics = share_memory()
        self._servers = [
            ServerProcess(number, is_single=processes == 1, memory=self._metrics) for number in range(processes)
        ]
        self._stopping = False
        self._kill_at = 0.0
        self._status = 0
        self._has_served = False
        self._settings_read_at = 0
        self._tick_s = TICK_S
        self._limits = Limits()

    def run(self) -> int:
        """Returns 0 after a stop, 1 where the first server could not serve, and 3 where the service ends with a script
        that cannot be started."""
        while not self._stopping or any(server.process is not None for server in self._servers):
            self._start_due()
            self._wait(self._patience_s)
            for server in self._servers:
                returncode = server.collect()
                if returncode is not None:
                    self._ended(server, returncode)
                server.end_if_hung()
            reap_others({server.process.pid for server in self._servers if server.process is not None})
            self._cut_logs()
            if self._stopping and time.monotonic() > self._kill_at:
                self._kill()
        end_descendants()
        say("the service has stopped" if self._status == 0 else "the service cannot be served")
        return self._status

    @property
    def _patience_s(self) -> float:
        """How long there is nothing to do but to wait for a signal."""
        now = time.monotonic()
        due = [server.due_at - now for server in self._servers if server.process is None and not self._stopping]
        return max(0.0, min([self._tick_s, *due]))

    def _start_due(self) -> None:
        # A server reads the end of the lifeline when this process, which alone holds its other end, is gone.
        descriptors: tuple[int, ...] = (self._listening.fileno(), self._lifeline, self._lock, self._metrics)
        command = [sys.executable, "-P", "-m", "modelport_scoring.server"]
        command += ["--listen", str(descriptors[0]), "--lifeline", str(descriptors[1])]
        command += ["--metrics", str(self._metrics), "--processes", str(len(self._servers))]
        if self._probed is not None:
            descriptors += (self._probed.fileno(),)
            command += ["--probed", str(self._probed.fileno())]
        if self._succession is not None:
            descriptors += (self._succession.gate,)
            command += ["--gate", str(self._succession.gate)]
        if self._lingers:
            command.append("--lingers")
        for server in self._servers:
            if server.process is None and not self._stopping and server.due_at <= time.monotonic():
                server.start(command, descriptors=descriptors)

    def _ended(self, server: ServerProcess, returncode: int) -> None:
        """One ends the whole service where it was told to, or cannot serve at all; else another one follows it."""
        if returncode == 0:
            self._stop()
        elif returncode == STATUS_SCRIPT_FAILED:
            self._status = returncode
            self._stop()
        elif returncode == STATUS_CANNOT_SERVE and not self._has_served:
            self._status = STATUS_FAILED
            self._stop()
        elif not self._stopping:
            self._has_served = True
            which = "the scoring server" if len(self._servers) == 1 else f"scoring server {server.number}"
            delay_s = server.start_later()
            say(f"{which} ended ({server.describe_exit(returncode)}); it is started again in {delay_s:g} s")

    def _wait(self, seconds: float) -> None:
        """Wait for a signal, so long at most, and heed one to stop."""
        received = signal.sigtimedwait(WAITED_SIGNALS, seconds)
        number = None if received is None else received.si_signo
        is_hung_up = number == HANGUP and os.getsid(0) != os.getpid()
        if number in STOP_SIGNALS or is_hung_up or self._is_left_alone():
            self._stop()
        elif number == LEAVE and self._succession is not None and self._succession.has_successor:
            self._leave(self._succession)

    def _is_left_alone(self) -> bool:
        """Whether the process is gone that this service is to end with; or its folder, by which alone it is told
        anything, also to stop."""
        return (self._parent is not None and os.getppid() != self._parent) or is_removed()

    def _leave(self, succession: Succession) -> None:
        """Another one has the socket, or shall have it: finish what is held, so that no client notices the change."""
        if not self._stopping:
            say(succession.farewell)
            self._kill_at = time.monotonic() + LINGER_S + self._limits.drain_timeout_s + KILL_AFTER_S
        self._stopping = True
        for server in self._servers:
            server.send(LEAVE)

    def _stop(self) -> None:
        if self._succession is not None and not self._succession.end():
            self._leave(self._succession)
            return
        if not self._stopping:
            lingering_s = LINGER_S if self._lingers else 0.0
            self._kill_at = time.monotonic() + lingering_s + self._limits.drain_timeout_s + KILL_AFTER_S
        self._stopping = True
        for server in self._servers:
            server.send(signal.SIGTERM)

    def _kill(self) -> None:
        """End servers that neither finish nor give up what they hold."""
        for server in self._servers:
            if server.process is not None:
                server.process.kill()

    def _cut_logs(self) -> None:
        """By the settings of the moment."""
        with contextlib.suppress(OSError, SettingsInvalid):
            changed = Path(SETTINGS).stat().st_mtime_ns
            if changed != self._settings_read_at:
                settings = read_settings(Path())
                self._settings_read_at = changed  # not before: there may have been no descriptor to read them with
                self._limits = settings.limits
                write_as(settings.telemetry.log_format)
        with contextlib.suppress(OSError):  # the system has no descriptor left, perhaps
            self._tick_s = FLOODED_TICK_S if cut_logs(Path(LOGS), limit=self._limits.log_bytes) else TICK_S


def is_removed() -> bool:
    """Whether the folder that we are in has been removed. One that was moved, or cannot be reached for the moment, has
    not."""
    with contextlib.suppress(OSError):
        return Path().stat().st_nlink == 0
    return False


def reap_others(servers: Collection[int]) -> None:
    """Take leave of processes that ended and were left to us, which the first process of a container is for. The end of
    a scoring server is for whoever waits for it."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in servers:
                return
            os.waitpid(ended.si_pid, 0)

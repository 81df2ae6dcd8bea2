"""One worker process, in whichever way it came to be: given its end of a socket, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.logs.journal import Journal
from modelport_scoring.processes.memory_kills import MemoryKills
from modelport_scoring.processes.status import PARENT, read_status
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.page import SharedPage

SOONER = 500
MOST_SCORE = 1000
"""Of ``oom_score_adj``: thousandths of the memory that there is, by which a process counts as larger than it is."""


class WorkerProcess(Protocol):
    """The process and what is shared with it. It leads a process group of its own, so that what its script forked
    ends with it; and it ends by itself when its socket closes, should the server be killed."""

    @property
    def pid(self) -> int: ...

    @property
    def socket(self) -> socket.socket: ...

    @property
    def page(self) -> SharedPage: ...

    @property
    def exit(self) -> str | None:
        """How it ended; None until ``ended`` is called."""

    @property
    def start_timeout_s(self) -> float:
        """How long it may take to be ready."""

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        """Have ``ended`` called once, when the process has ended: the socket alone does not tell, a child of the
        worker may hold it open. Raises OSError where it cannot be watched; then it is ended, and nothing of it is
        left."""

    def kill(self) -> None:
        """End it and what it started, now. Nothing happens where it has ended."""

    def overdue(self, phase: str) -> Failure:
        """What to say of it when it was not ready in time."""


class ProcessSource(Protocol):
    """Where the workers of a revision come from."""

    async def start(self) -> WorkerProcess:
        """One more, which may not be ready yet. Raises StartFailed."""

    def stop(self) -> None:
        """Start nothing more, and give up what is being started here."""

    async def end(self) -> None:
        """Once the workers have ended: end what they came from."""


class SpawnedProcesses:
    """Each worker is a process of its own, from the start of its interpreter."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    async def start(self) -> SpawnedProcess:
        return SpawnedProcess(self._launch)

    def stop(self) -> None:
        """A process that was started is its worker's affair."""

    async def end(self) -> None:
        """Nothing is left."""


class SpawnedProcess:
    """A child of this process that runs the interpreter anew."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Raises StartFailed, phase ``start``, where the system cannot."""
        self.exit: str | None = None
        self.start_timeout_s = launch.start_timeout_s
        self._memory_kills = MemoryKills()
        try:
            shared = share()
            try:
                self._process = start(launch, shared=shared)
                self._group = led_group(self._process)
            except (OSError, ValueError):
                shared.close()
                raise
        except (OSError, ValueError) as error:  # the latter for a variable or an argument with a zero byte
            raise StartFailed(cannot_start(launch, error)) from error
        shared.theirs.close()
        self.pid = self._process.pid
        self.socket = shared.ours
        self.page = shared.page

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        def reap() -> None:
            self.exit = self._memory_kills.describe_exit(self._process.wait())
            ended()

        try:
            self._group.watch(loop, ended=reap)
        except OSError:
            self._process.wait()
            self.socket.close()
            self.page.close()
            raise

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._group.leader_runs

    def kill(self) -> None:
        self._group.kill()

    def overdue(self, phase: str) -> Failure:
        return late(phase, limit_s=self.start_timeout_s)


@dataclass(frozen=True)
class Shared:
    """What the server and a worker process share: the two ends of a socket, and a page."""

    ours: socket.socket
    theirs: socket.socket
    page: SharedPage

    @property
    def descriptors(self) -> tuple[int, int]:
        """The worker's."""
        return self.theirs.fileno(), self.page.descriptor

    def close(self) -> None:
        for each in (self.ours, self.theirs, self.page):
            each.close()


def share() -> Shared:
    """Make them. Raises OSError."""
    page = SharedPage()
    try:
        return Shared(*socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM), page)
    except OSError:
        page.close()
        raise


def parent_of(pid: int) -> int:
    """The process id of its parent. Raises ProcessLookupError where there is no such process, and OSError where the
    system does not tell."""
    try:
        return int(read_status(pid)[PARENT])
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None


class ProcessGroup:
    """The group that a process leads, watched by a descriptor of the process until its end."""

    def __init__(self, leader: int) -> None:
        """Raises OSError where it cannot be watched."""
        self._leader = leader
        self._descriptor = os.pidfd_open(leader)
        self._has_ended = False

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        """Have ``ended`` called once, when the leader has ended and before its exit status is collected. Raises OSError
        where it cannot be watched; then it is ended."""
        try:
            loop.add_reader(self._descriptor, self._notice, loop, ended)
        except OSError:
            self._end()
            raise

    @property
    def leader_runs(self) -> bool:
        """Whether the leader has not ended, noticed or not."""
        if self._has_ended:
            return False
        look = select.poll()
        look.register(self._descriptor, select.POLLIN)
        return not look.poll(0)

    def kill(self) -> None:
        """End it now, and the leader also where it is in another group by now. Nothing happens once the leader's end
        was noticed."""
        if not self._has_ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def _notice(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        loop.remove_reader(self._descriptor)
        self._end()
        ended()

    def _end(self) -> None:
        # Before the leader is reaped: until then nobody else can get its number.
        self.kill()
        self._has_ended = True
        os.close(self._descriptor)


def led_group(process: subprocess.Popen[bytes]) -> ProcessGroup:
    """The group that the process leads. Raises OSError where it cannot be watched; then it is ended."""
    try:
        return ProcessGroup(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise


def start(launch: Launch, *, shared: Shared) -> subprocess.Popen[bytes]:
    """Start the process with its part of what is shared. Raises OSError."""
    channel, page = shared.descriptors
    log = Journal(launch.log).open_for_process()
    try:
        process = subprocess.Popen(
            [*launch.command, "--socket", str(channel), "--page", str(page)],
            cwd=launch.cwd,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=shared.descriptors,
            process_group=0,
        )
    finally:
        os.close(log)
    run_as_batch(process.pid)
    end_before_us(process.pid)
    return process


def run_as_batch(pid: int) -> None:
    """Tell the scheduler that the process computes, so that waking it does not interrupt whoever woke it.

    Where server and worker share a core, the server then sees to all that has arrived before the worker goes on, which
    gets more requests at once: 9 to 23% more requests a second with batching, in 4 of 4 pairs of measurements. What the
    process starts inherits it. Nothing happens where the system does not allow it.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def end_before_us(pid: int) -> None:
    """Have the kernel, where memory runs out, rather end the process than the server: that costs the requests that it
    holds, and the server's end those of everybody. What the process starts inherits it."""
    with contextlib.suppress(OSError):
        ours = int(Path("/proc/self/oom_score_adj").read_text())
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(min(ours + SOONER, MOST_SCORE)))


def cannot_start(launch: Launch, error: OSError | ValueError) -> Failure:
    """The system refused: no such interpreter, not a program, no rights, no processes or descriptors left."""
    reason = error.strerror if isinstance(error, OSError) else None
    if not launch.cwd.is_dir():
        message = f"the working folder {launch.cwd} has been removed: reload the service, which makes it anew"
        return Failure(phase="start", type=type(error).__name__, message=message)
    return Failure(
        phase="start",
        type=type(error).__name__,
        message=f"the interpreter {launch.command[0]} could not be started: {reason or error}",
    )


def late(phase: str, *, limit_s: float) -> Failure:
    """It was not ready in time."""
    return Failure(
        phase=phase,
        type="TimeoutError",
        message=f"the start took longer than limits.start_timeout_s allows ({limit_s:g} s); it was in phase '{phase}'. "
        "Raise limits.start_timeout_s in the deployment configuration",
    )


CUT_OFF = "its script has closed the socket by which requests come, by os.closerange() or the like"


def told_exit(process: WorkerProcess) -> str | None:
    """How it ended, and what its page tells of that; None while it runs. Ask before the page is closed."""
    if process.exit is None or not process.page.is_cut_off:
        return process.exit
    return f"{process.exit}: {CUT_OFF}"


def ended_early(phase: str, exit_text: str | None) -> Failure:
    """It ended before it was ready."""
    return Failure(
        phase=phase,
        message=f"the worker process ended in phase '{phase}' without saying why: {exit_text}",
        exit=exit_text,
    )

"""One worker process: started with its end of a socket, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable

from modelport_scoring.failures import Failure, StartFailed, describe_exit
from modelport_scoring.journal import Journal
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.page import SharedPage


class WorkerProcess:
    """The process and what is shared with it. It leads a process group of its own, so that what its script forked
    ends with it; and it ends by itself when its socket closes, should the server be killed."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Raises StartFailed, phase ``start``, where the system cannot."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        page = SharedPage()
        try:
            self._process = start(launch, descriptors=(theirs.fileno(), page.descriptor))
        except OSError as error:
            ours.close()
            page.close()
            raise StartFailed(cannot_start(launch, error)) from error
        finally:
            theirs.close()
        self.socket = ours
        self.page = page
        self.pid = self._process.pid
        self._watched = -1

    @property
    def exit(self) -> str | None:
        """How the process ended, None while it runs."""
        returncode = self._process.poll()
        return None if returncode is None else describe_exit(returncode)

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        """Have ``ended`` called once, when the process has ended: the socket alone does not tell, a child of the
        worker may hold it open."""
        self._watched = os.pidfd_open(self.pid)
        loop.add_reader(self._watched, self._notice, loop, ended)

    def kill(self) -> None:
        """End it and what it started, now. Nothing happens where it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _notice(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        loop.remove_reader(self._watched)
        os.close(self._watched)
        # Before it is reaped: until then nobody else can get its number.
        self.kill()
        self._process.wait()
        ended()


def start(launch: Launch, *, descriptors: tuple[int, int]) -> subprocess.Popen[bytes]:
    """Start the process with the two descriptors of its socket and its page. Raises OSError."""
    channel, page = descriptors
    log = Journal(launch.log).open()
    try:
        return subprocess.Popen(
            [*launch.command, "--socket", str(channel), "--page", str(page)],
            cwd=launch.cwd,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            process_group=0,
        )
    finally:
        os.close(log)


def cannot_start(launch: Launch, error: OSError) -> Failure:
    """The system refused: no such interpreter, not a program, no rights, no processes left."""
    return Failure(
        phase="start",
        type=type(error).__name__,
        message=f"the interpreter {launch.command[0]} could not be started: {error.strerror or error}",
    )

"""The server's processes: all that descend from this program, whoever their parent is by now."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.scoring.cores import pinned

PR_SET_CHILD_SUBREAPER = 36
STOP_PATIENCE_S = 10.0
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a server is started."""

    command: list[str]
    variables: Mapping[str, str]
    folder: Path
    """Its working folder."""
    log: Path | None = None
    """Where it writes what it has to say, unless that is its output."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Proportional set size in MiB: pages that processes share are split among them."""

    total_mib: float
    server_mib: float
    """Without the processes that run the model; the same as ``total_mib`` where they are not told apart."""


def adopt_orphans() -> None:
    """Become the parent of what a server's processes leave behind, so that none is missed."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that the servers are ended too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class ServerProcess:
    """One server with all of its processes, on one core."""

    def __init__(self, launch: Launch, *, core: int, log: Path) -> None:
        with log.open("ab") as output:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                pinned(core, launch.command),
                env={**os.environ, **launch.variables},
                cwd=launch.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._logs = [path for path in (log, launch.log) if path is not None]
        self._seen: dict[int, psutil.Process] = {}

    @property
    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """The last line of its logs that says something."""
        texts = [path.read_text(errors="replace") for path in self._logs if path.exists()]
        lines = [line.strip() for text in texts for line in text.splitlines() if re.search(r"\w\w", line)]
        return lines[-1][:200] if lines else "it printed nothing"

    def tree(self) -> list[psutil.Process]:
        """The processes that live. Those that were seen once stay with us when their parent ends."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            for process in (root, *root.children(recursive=True)):
                self._seen[process.pid] = process
        for process in list(self._seen.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._seen.update({child.pid: child for child in process.children(recursive=True)})
        return [process for process in self._seen.values() if process.is_running()]

    def cpu_seconds(self) -> float:
        """User and system time of all of them so far, and of those of their children that have ended."""
        total = 0.0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])
        return total

    def memory(self, *, worker_mark: str | None) -> Memory:
        """Their memory. ``worker_mark`` is in the command line of those that run the model."""
        server = workers = 0.0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                pss = process.memory_full_info().pss / MIB
                if worker_mark is not None and worker_mark in " ".join(process.cmdline()):
                    workers += pss
                else:
                    server += pss
        return Memory(total_mib=server + workers, server_mib=server)

    def stop(self) -> None:
        """End it as its owner would, then whatever is left of it."""
        tree = self.tree()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_PATIENCE_S)
        left = {*tree, *self.tree()}
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([process for process in left if process.pid != self._process.pid], STOP_PATIENCE_S)
        self._process.wait()
        self._reap()

    def _reap(self) -> None:
        """Take the exit statuses of those that we adopted."""
        for pid in self._seen:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

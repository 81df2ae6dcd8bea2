"""What is below the server where it has workers forked: the system, which may refuse each call. Sockets, descriptors
and shared memory are real ones, processes are made up, and time passes at once.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import random
import re
import selectors
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fuzz.made_up_forks import SERVER, STRANGER, Fork, Process, TemplateProcess
from modelport_scoring.logs.journal import Journal
from modelport_scoring.processes.memory_kills import MemoryKills
from modelport_scoring.workers import page, process
from modelport_scoring.workers.forked import TEMPLATES_END

TURN_S = 1e-4
"""That one turn of the event loop takes."""

DESCRIPTORS, MEMORY, PROCESSES = range(3)
"""What may be short."""

NOTICED_S = 0.5
"""An end is noticed within that."""

LATE = re.compile(r"modelport: the template (\d+) did not fork within")
REFUSED = (errno.EMFILE, errno.ENOMEM, errno.EAGAIN)
NEEDS = {
    "epoll_ctl": (MEMORY,),
    "memfd_create": (DESCRIPTORS, MEMORY),
    "mmap": (DESCRIPTORS, MEMORY),
    "open": (DESCRIPTORS, MEMORY),
    "pidfd_open": (DESCRIPTORS, MEMORY),
    "popen": (DESCRIPTORS, MEMORY, PROCESSES),
    "read_status": (DESCRIPTORS, MEMORY),
    "sendmsg": (MEMORY,),
    "socketpair": (DESCRIPTORS, MEMORY),
}
"""By the system's calls that the server makes."""


class Loop(asyncio.SelectorEventLoop):
    """Asyncio's own, of which time passes at once where no descriptor is ready."""

    def __init__(self, system: System) -> None:
        self.moment = 1000.0
        self.faults: list[Any] = []
        self._system = system
        super().__init__(Selector(self, system))
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self.moment

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        self._system.need("epoll_ctl")
        super().add_reader(fd, callback, *args)


class Selector(selectors.EpollSelector):
    """Looks at the server's descriptors, and has the processes outside read theirs."""

    def __init__(self, loop: Loop, system: System) -> None:
        super().__init__()
        self._loop = loop
        self._outside = system.outside

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        woken = self._outside.select(0)
        for key, _ in woken:
            key.data()
        if events or woken:
            self._loop.moment += TURN_S
        else:
            assert timeout is not None, "nothing will ever happen again"
            self._loop.moment += max(timeout, TURN_S)
        return events


class System:
    """The kernel, as far as the server asks it for anything here. It never uses a process id again."""

    def __init__(self, chance: random.Random) -> None:
        self.processes: dict[int, Process] = {}
        self.short_of: set[int] = set()
        self.calls_until_refusal = 0
        self.refused: list[OSError] = []
        self.lines: list[str] = []
        """Of the log."""
        self.stopped: set[int] = set()
        """Numbers of the revisions that have been told to stop."""
        self.sockets: list[socket.socket] = []
        """That the server has made, in pairs."""
        self.watched: dict[int, Process] = {}
        """By the descriptors that they are watched by."""
        self.chance = chance
        self.manners: dict[str, deque[int]] = {"start": deque(), "fork": deque(), "life": deque(), "reap": deque()}
        """How the next ones do each of these."""
        self.habits: dict[str, int] = {}
        """And how those after them do."""
        self.outside = selectors.EpollSelector()
        self.loop = Loop(self)

    @property
    def living(self) -> list[Process]:
        return [each for each in self.processes.values() if each.returncode is None]

    def behave(self) -> None:
        """From now on there is enough of all, and whoever starts does as it should."""
        self.short_of.clear()
        self.calls_until_refusal = 0
        self.habits.clear()
        for manners in self.manners.values():
            manners.clear()

    def manner(self, what: str) -> int:
        """How the next one does that."""
        manners = self.manners[what]
        return manners.popleft() if manners else self.habits.get(what, 0)

    def need(self, call: str) -> None:
        """Raises OSError where the system refuses that call."""
        needs = NEEDS[call]
        short = [what for what in needs if what in self.short_of]
        if self.calls_until_refusal:
            self.calls_until_refusal -= 1
            if not self.calls_until_refusal:
                short.append(needs[-1])
        if short:
            error = OSError(REFUSED[short[0]], f"{os.strerror(REFUSED[short[0]])} ({call})")
            self.refused.append(error)
            raise error

    # --- its calls ----------------------------------------------------------------------------------------------------

    def popen(self, command: list[str], *, pass_fds: tuple[int, int], **_: Any) -> SimpleNamespace:
        self.need("popen")
        assert "--template" in command
        assert int(command[0]) not in self.stopped, "a template is started after the stop"
        template = TemplateProcess(self, pass_fds, revision=int(command[0]))
        kill = lambda: template.end(-signal.SIGKILL)  # noqa: E731
        return SimpleNamespace(pid=template.pid, wait=lambda: self._wait_for(template), kill=kill)

    def _wait_for(self, template: Process) -> int:
        assert template.returncode is not None, "the server waits for a process that runs"
        template.be_reaped()
        return template.returncode

    def pidfd_open(self, pid: int) -> int:
        found = self.processes.get(pid)
        self._need_to_look("pidfd_open", found)
        if found is None or found.is_reaped:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        descriptor = os.dup(found.has_ended)
        self.watched[descriptor] = found
        return descriptor

    def _need_to_look(self, call: str, found: Process | None) -> None:
        try:
            self.need(call)
        except OSError:
            if isinstance(found, Fork):
                found.was_missed = True
            raise

    def close(self, descriptor: int) -> None:
        self.watched.pop(descriptor, None)
        os.close(descriptor)

    def killpg(self, pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        assert pid in self.processes, f"a process that is none of ours is ended, {pid}"
        found = self.processes[pid]
        if found.is_reaped and not found.members:
            raise ProcessLookupError
        found.end(-number)
        found.end_members()

    def pidfd_send_signal(self, descriptor: int, number: int) -> None:
        self.watched[descriptor].end(-number)

    def read_status(self, pid: int) -> list[str]:
        found = self.processes.get(pid)
        self._need_to_look("read_status", found)
        if pid not in (SERVER, STRANGER) and (found is None or found.is_reaped):
            raise FileNotFoundError
        return ["S", str(1 if found is None else found.parent)]

    def socketpair(self, *_: Any) -> tuple[socket.socket, socket.socket]:
        self.need("socketpair")
        ours, theirs = socket.socketpair()
        self.sockets += (Wire(self, ours), theirs)
        return self.sockets[-2], theirs

    def memfd_create(self, *arguments: Any) -> int:
        self.need("memfd_create")
        return os.memfd_create(*arguments)

    def mmap(self, *arguments: Any) -> Any:
        self.need("mmap")
        return mmap.mmap(*arguments)

    def open_log(self, _: Journal) -> int:
        self.need("open")
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    @contextmanager
    def patched(self) -> Iterator[None]:
        """While the server works with it."""
        ours = Part(os, pidfd_open=self.pidfd_open, killpg=self.killpg, close=self.close)
        with ExitStack() as patches:
            for owner, name, value in (
                (process, "os", ours),
                (process, "signal", Part(signal, pidfd_send_signal=self.pidfd_send_signal)),
                (process, "socket", Part(socket, socketpair=self.socketpair)),
                (process, "subprocess", Part(subprocess, Popen=self.popen)),
                (process, "read_status", self.read_status),
                (process, "run_as_batch", lambda _: None),
                (process, "end_before_us", lambda _: None),
                (page, "os", Part(os, memfd_create=self.memfd_create)),
                (page, "mmap", Part(mmap, mmap=self.mmap)),
                (MemoryKills, "_count", lambda _: 0),
                (Journal, "write", lambda journal, text: self.written(journal.path, text)),
                (Journal, "open_for_process", lambda journal: self.open_log(journal)),
            ):
                patches.enter_context(patch.object(owner, name, value))
            yield

    def written(self, log: Path, text: str) -> None:
        """A line of the log, whose name is the number of its revision."""
        self.lines.append(text)
        if late := LATE.match(text):
            template = self.processes[int(late[1])]
            has_ended = template.returncode is not None and template.ended_at < self.loop.moment - NOTICED_S
            assert not has_ended, "a template that has ended is waited for"
        if TEMPLATES_END in text:
            ended = [each for each in self._templates(int(log.name)) if each.returncode is not None]
            assert len(ended) > 1, "the place is given up with one template's end"

    def _templates(self, revision: int) -> list[Process]:
        return [each for each in self.processes.values() if each.revision == revision and each.parent == SERVER]

    def end(self) -> None:
        """Give up what of it is ours, and what a server that was found out has left."""
        links = list(self.loop._transports.values())  # type: ignore[attr-defined]
        for link in links:
            link.abort()
        if links:
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        for each in self.processes.values():
            each.end(0)
            each.end_members()
            each.be_reaped()
        for descriptor in list(self.watched):
            self.close(descriptor)
        for end in self.sockets:
            end.close()
        self.outside.close()


class Part:
    """A module of which some is made up."""

    def __init__(self, module: Any, **made_up: Any) -> None:
        self.__dict__.update(made_up)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class Wire(socket.socket):
    """The server's end of a pair."""

    def __init__(self, system: System, end: socket.socket) -> None:
        super().__init__(fileno=end.detach())
        self._system = system

    def sendmsg(self, *arguments: Any) -> int:
        self._system.need("sendmsg")
        return super().sendmsg(*arguments)

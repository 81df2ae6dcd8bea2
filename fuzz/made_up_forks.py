"""Processes that are made up, of a template and its forks, from their frames on. Sockets, descriptors and shared memory
are real ones. In which manner the next one starts, forks, lives or tells of an end is drawn from their system.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelport_worker.frames import (
    FAILED,
    FORK,
    FORKED,
    HEADER,
    HEADER_SIZE,
    PHASE,
    READY,
    REAP,
    REAPED,
    RESULT,
    RETURNED,
    SCORE,
    STOP,
    pack,
)

if TYPE_CHECKING:
    from fuzz.made_up_system import System

SERVER, STRANGER = 2, 3
"""Process ids: ours, and one that is none of our business."""

FIRST_PID = 10
FORK_S = 0.003
KNOWN_S = 0.002
"""Some turns of the event loop."""

FAILURE = b'{"phase": "init", "message": "no model", "type": "E", "traceback": ""}'
CONTRACT = b'{"input": "text"}'


class Process:
    """One that runs outside, in a group of its own."""

    def __init__(self, system: System, descriptors: tuple[int, int], *, parent: int, revision: int) -> None:
        self.pid = FIRST_PID + len(system.processes)
        self.parent = parent
        self.revision = revision
        self.returncode: int | None = None
        self.is_reaped = False
        self.is_deaf = False
        """It ends by being killed only."""
        self.members: list[socket.socket] = []
        """What its script has started in its group: their ends of its channel."""
        self.has_ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.ended_at = 0.0
        self._system = system
        self._channel = socket.socket(fileno=os.dup(descriptors[0]))
        self._channel.setblocking(False)
        self._page = os.dup(descriptors[1])
        self._unread = b""
        self._reads = True
        system.outside.register(self._channel, selectors.EVENT_READ, self._receive)
        system.processes[self.pid] = self

    def later(self, seconds: float, do: Callable[..., object], *arguments: Any) -> None:
        """Have it do that then, if it still runs."""
        self._system.loop.call_later(seconds, self._do, do, *arguments)

    def _do(self, do: Callable[..., object], *arguments: Any) -> None:
        if self.returncode is None:
            do(*arguments)

    def say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(data)

    def hang(self) -> None:
        """Read nothing more."""
        if self._reads:
            self._reads = False
            self._system.outside.unregister(self._channel)

    def cut_off(self) -> None:
        """Close its end, and live on."""
        self.hang()
        self._channel.close()

    def start_member(self) -> None:
        if self._channel.fileno() >= 0:
            self.members.append(self._channel.dup())

    def end_members(self) -> None:
        for member in self.members:
            member.close()
        self.members.clear()

    def end(self, returncode: int) -> None:
        if self.returncode is None:
            self.returncode = returncode
            self.ended_at = self._system.loop.time()
            self.cut_off()
            os.close(self._page)
            os.eventfd_write(self.has_ended, 1)
            self._parent_learns()

    def _parent_learns(self) -> None: ...

    def be_reaped(self) -> None:
        if not self.is_reaped:
            self.is_reaped = True
            os.close(self.has_ended)

    def _receive(self) -> None:
        if not self._reads:  # it has ended in this turn
            return
        data = b""
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionResetError):  # the other end is closed, and had not read all
            data, descriptors, _, _ = socket.recv_fds(self._channel, 65536, 2)
        if not data:
            self.hang()
            self.let_go()
        self._unread += data
        while len(self._unread) >= HEADER_SIZE and self.returncode is None:
            number, size, meta_size, _, _, kind, _ = HEADER.unpack_from(self._unread)
            end = HEADER_SIZE + meta_size + size
            if len(self._unread) < end:
                break
            self._unread = self._unread[end:]
            self.told(kind, number, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def let_go(self) -> None:
        """The other end of its channel is closed."""
        if not self.is_deaf:
            self.later(0.002, self.end, 0)

    def told(self, kind: int, number: int, descriptors: list[int]) -> None:
        raise NotImplementedError


class TemplateProcess(Process):
    """Forks when told, in one manner or another; so it starts, and tells how its forks ended."""

    def __init__(self, system: System, descriptors: tuple[int, int], *, revision: int) -> None:
        super().__init__(system, descriptors, parent=SERVER, revision=revision)
        self.children: dict[int, Fork] = {}
        """Those whose exit status it has not collected, by their numbers."""
        self.was_odd = False
        """It has said something of its forks that was not so, or nothing."""
        self.was_slow = False
        """It was at a fork for longer than the server waits for an exit status."""
        self.failed_at: float | None = None
        self._held: list[int] = []
        self._is_forking = False
        self._waiting: list[int] = []
        """Numbers of those whose exit status it is to tell once it has forked."""
        self._start(system.manner("start") % 16)

    def _parent_learns(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        for child in self.children.values():
            child.parent = 1
            if child.returncode is not None:
                child.be_reaped()

    def _start(self, how: int) -> None:
        self.later(0.01, self.say, pack(0, PHASE, b"import") + pack(0, PHASE, b"init"))
        ready = pack(0, READY, CONTRACT)
        if how in (0, 12, 13, 15):
            self.later(0.05, self.say, ready)
            self.is_deaf = how == 12
            if how == 13:
                self.later(0.04, self.start_member)
        elif how == 1:
            self.later(3.0, self.say, ready)
        elif how == 2:
            self.is_deaf = True
        elif how in (3, 4):
            self.later(0.05, self._fail)
            self.later(0.06, *((self.end, 3) if how == 3 else (self.hang,)))
        elif how == 5:
            self.later(0.05, self.end, 1)
        elif how == 6:
            self.end(-signal.SIGKILL)
        elif how == 7:
            self.later(0.05, self.say, pack(0, 99))
        elif how == 8:
            self.later(0.05, self.say, ready + ready)
        elif how == 9:
            self.later(0.05, self.cut_off)
        elif how == 10:
            self.later(0.05, self.say, HEADER.pack(1, 2**32 - 1, 0, 0, 0, FORKED, 0))
        elif how == 11:
            self.later(0.05, self.say, ready[:7])
            self.later(1.0, self.say, ready[7:])
        else:
            self.later(0.05, self.say, ready)
            self.later(0.05, self.end, 0)

    def _fail(self) -> None:
        self.failed_at = self._system.loop.time()
        self.say(pack(0, FAILED, FAILURE))

    def told(self, kind: int, number: int, descriptors: list[int]) -> None:
        if kind == REAP:
            self._waiting.append(number)
            self._reap_those_waiting()
        else:
            assert kind == FORK
            assert not self._is_forking, "a second fork is asked for before the first one is answered"
            self._is_forking = True
            assert len(descriptors) == 2, "a fork is asked for without what is to be its own"
            kept = (os.dup(descriptors[0]), os.dup(descriptors[1]))
            self._held += kept
            self._order(number, kept, self._system.manner("fork") % 26)

    # --- forks --------------------------------------------------------------------------------------------------------

    def _order(self, number: int, kept: tuple[int, int], how: int) -> None:
        self.was_slow = self.was_slow or how in (1, 2, 3, 11, 23, 25)
        if how in (6, 9):
            self.was_odd = True
            self.later(FORK_S, self.end, -signal.SIGSEGV) if how == 6 else self.hang()
        elif how in (4, 5, 23):
            code = errno.ENOMEM if how == 4 else errno.EAGAIN
            self.later(11.0 if how == 23 else FORK_S, self._refuse, number, kept, code)
        else:
            takes_s = {1: 2.0, 2: 9.5, 3: 12.0, 25: 6.0}.get(how, FORK_S)
            self.later(takes_s, self._fork, number, kept, how)

    def _refuse(self, number: int, kept: tuple[int, int], code: int) -> None:
        self._drop(kept)
        self.say(pack(number, FORKED, code=code))
        self._have_forked()

    def _drop(self, kept: tuple[int, int]) -> None:
        for descriptor in kept:
            self._held.remove(descriptor)
            os.close(descriptor)

    def _fork(self, number: int, kept: tuple[int, int], how: int) -> None:
        earlier = list(self.children.values())
        child = self.children[number] = Fork(self._system, kept, self)
        child.is_collected_by_script = how == 22
        self._drop(kept)
        answer = pack(number, FORKED, b"%d" % child.pid)
        odd: dict[int, bytes] = {
            11: answer[:5],
            12: answer[:-1],
            13: answer[:-1],
            14: answer + answer,
            15: pack(number, FORKED, b"%d" % STRANGER),
            16: pack(number, FORKED, b"%d" % SERVER),
            17: pack(number, FORKED, b"no number"),
            18: pack(number, FORKED, b"%d" % self.pid),
            19: pack(number + 1, FORKED, b"%d" % child.pid),
            21: pack(number, FORKED, b"%d" % earlier[0].pid) if earlier else answer,
            24: answer + pack(0, READY, CONTRACT),
        }
        if how not in (*odd, 7, 8, 10) or how in (14, 24):
            self._have_named(child)
        self.was_odd = self.was_odd or child.named_at is None or how == 22
        if how == 20:
            child.end(7)
        if how not in (7, 10):
            self.say(odd.get(how, answer))
        if how in (7, 8, 13):
            self.end(-signal.SIGKILL)
        elif how in (10, 12):
            self.hang()
        elif how == 11:
            self.later(1.0, self.say, answer[5:])
            self.later(1.0, self._have_named, child)
            self.later(1.0, self._have_forked)
        else:
            self._have_forked()

    def _have_forked(self) -> None:
        self._is_forking = False
        self._reap_those_waiting()

    def _have_named(self, child: Fork) -> None:
        if self._channel.fileno() >= 0:
            child.named_at = self._system.loop.time()

    # --- their ends ---------------------------------------------------------------------------------------------------

    def _reap_those_waiting(self) -> None:
        while self._waiting and self._reads and self.returncode is None and not self._is_forking:
            self._reap(self._waiting.pop(0), self._system.manner("reap") % 8)

    def _reap(self, number: int, how: int) -> None:
        assert number in self.children, "a template is to collect what it has not forked: it would end"
        child = self.children[number]
        if child.returncode is None:
            child.end(-signal.SIGKILL)
            child.end_members()
        returncode = child.returncode
        assert returncode is not None
        payload = b"" if how == 4 or child.is_reaped else b"%d" % returncode
        self.was_odd = self.was_odd or how in (2, 3, 4, 5, 6)
        if how == 3:
            self.hang()
            return
        if how == 6:
            self.end(1)
            return
        del self.children[number]
        child.be_reaped()
        answer = pack(number, REAPED, b"no number" if how == 5 else payload)
        self.later({1: 0.5, 2: 2.0}.get(how, 0.001), self.say, answer * 2 if how == 7 else answer)


class Fork(Process):
    """A worker, from its fork on."""

    def __init__(self, system: System, descriptors: tuple[int, int], template: TemplateProcess) -> None:
        super().__init__(system, descriptors, parent=template.pid, revision=template.revision)
        self.is_collected_by_script = False
        self.named_at: float | None = None
        """When its template has said of it, and the truth."""
        self.was_missed = False
        """The system has refused the server to look at it."""
        self.template = template
        self._live(system.manner("life") % 17)

    def _parent_learns(self) -> None:
        if self.is_collected_by_script or self.parent == 1:
            self.be_reaped()

    @property
    def is_known(self) -> bool:
        """Whether the server had time to learn of it while it was the child of its template."""
        template = self.template
        if self.named_at is None:
            return False
        return template.returncode is None or template.ended_at - self.named_at > KNOWN_S

    def _live(self, how: int) -> None:
        ready = pack(0, READY, CONTRACT)
        ready_after_s = {0: 0.01, 1: 3.0, 2: 9.8, 10: 0.5, 11: 0.01, 12: 0.01, 13: 0.01, 15: 35.0, 16: 0.01}
        if how == 10:
            self.later(0.005, self.say, pack(0, PHASE, b"warm-up"))
        if how in ready_after_s:
            self.later(ready_after_s[how], self.say, ready)
        self.is_deaf = how in (4, 9, 12)
        if how == 5:
            self.later(0.01, self.say, pack(0, FAILED, FAILURE))
            self.later(0.01, self.end, 3)
        elif how in (6, 7, 11):
            self.later({6: 0.0, 7: 0.001, 11: 0.02}[how], self.end, {6: 1, 7: -signal.SIGSEGV, 11: 4}[how])
        elif how == 8:
            self.later(0.01, self.say, pack(7, 99, b"nonsense"))
        elif how == 9:
            self.later(0.01, self.cut_off)
        elif how == 13:
            self.start_member()
        elif how == 14:
            self.later(0.01, self.say, pack(0, READY, b"{"))

    def told(self, kind: int, number: int, _: list[int]) -> None:
        if self.is_deaf:
            return
        if kind == SCORE:
            self.later(0.01, self.say, pack(number, RESULT, b"%d" % number, flags=RETURNED, code=200, micros=5))
        else:
            assert kind == STOP
            self.later(0.02, self.end, 0)

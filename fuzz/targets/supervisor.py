"""The supervisor, over time: however its servers end, hang and cannot be started, and whatever signals come, there is
one server in each place or soon will be, none follows too soon, none that works is ended, and a stop is one.

An input is a byte of settings and events of two bytes: what happens, and how. The processes are made up, and time
passes while the supervisor waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from modelport_scoring.processes.exit_statuses import (
    STATUS_CANNOT_SERVE,
    STATUS_FAILED,
    STATUS_GIVEN_UP,
    STATUS_SCRIPT_FAILED,
)
from modelport_scoring.settings.service import Limits
from modelport_scoring.sockets.handover import LINGER_S
from modelport_scoring.supervision import pulse, server_process, supervisor
from modelport_scoring.supervision.told import LEAVE
from modelport_scoring.telemetry import layout

STEP = 2
MOST_STEPS = 200
PASSES_S = (0.0, 0.05, 0.5, 1.0, 1.0, 9.0, 31.0)
"""At most; a supervisor that waits for less is woken sooner."""

RETURNED = (-9, -15, 1, -11, STATUS_GIVEN_UP, -9, 0, STATUS_SCRIPT_FAILED, STATUS_CANNOT_SERVE)
FIRST_S, LONGEST_S, HEALTHY_S = 0.1, 30.0, 10.0
HANGS_S, STARTS_S = 30.0, 600.0
SLACK_S = 2.5
"""The supervisor looks once a second, and counts no more than one and a half of them at each look."""

PAUSED_S = 3600.0
QUIET = [b"\x00\x03"] * 45
"""Seconds in which nothing happens."""
MOST_QUIET = 700

DOUBLE = struct.Struct("@d")


class Clock:
    """Time that passes where the supervisor waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Server:
    """A process in one of the places."""

    def __init__(self, world: World, number: int) -> None:
        self.pid = 10 + len(world.made)
        self.number = number
        self.returncode: int | None = None
        self.born = world.clock.now
        self.beats = not world.starts_slowly
        self.obeys = world.obeys
        self.beaten_at: float | None = None
        self.still_s = 0.0
        """Since it last beat, but for what was no time for the supervisor either."""
        self.was_killed = False
        self.told: list[int] = []
        self._world = world

    def poll(self) -> int | None:
        return self.returncode

    def beat(self) -> None:
        if self.returncode is None and self.beats:
            self.beaten_at, self.still_s = self._world.clock.now, 0.0
            offset = self.number * layout.PART_BYTES + layout.PUBLISHED_AT * layout.DOUBLE
            os.pwrite(self._world.memory, DOUBLE.pack(self.beaten_at), offset)

    def send_signal(self, number: int) -> None:
        offset = self.number * layout.PART_BYTES + layout.TOLD * layout.DOUBLE
        (written,) = DOUBLE.unpack(os.pread(self._world.memory, DOUBLE.size, offset))
        assert int(written) == number, "a server gets a signal that is not written down"
        self.told.append(number)
        if self.obeys:
            self.end(0)

    def kill(self) -> None:
        self._world.killed(self)
        self.was_killed = True
        self.end(-9)

    def end(self, returncode: int) -> None:
        if self.returncode is None:
            self.returncode = returncode
            self._world.ended(self)


class Following:
    """What the supervisor knows of those before it and after it."""

    gate = 0
    farewell = "another one serves"

    def __init__(self) -> None:
        self.has_successor = False
        self.has_ended = False

    def end(self) -> bool:
        self.has_ended = True
        return not self.has_successor


class World:
    """One supervisor and all around it."""

    def __init__(self, how: int, events: list[bytes]) -> None:
        self.clock = Clock()
        self.made: list[Server] = []
        self.memory = -1
        self.obeys = True
        self.cannot_start = self.starts_slowly = False
        self.stopped_at: float | None = None
        """When it was told to stop for the first time."""
        self.status = 0
        self.processes = 1 + how % 3
        self.following = Following() if how & 4 else None
        self.leads_session = bool(how & 8)
        self.limits = Limits(drain_timeout_s=(2.0, 60.0)[how >> 4 & 1])
        self.may_start_at = dict.fromkeys(range(self.processes), 0.0)
        """When the next one may be started in each place."""
        self._delays = dict.fromkeys(range(self.processes), FIRST_S)
        self._has_served = False
        self._paused_s = 0.0
        """For how long all of it was paused: it may notice an end only after that."""
        self._events = events

    @property
    def living(self) -> list[Server]:
        return [server for server in self.made if server.returncode is None]

    # --- what the supervisor does -------------------------------------------------------------------------------------

    def start(self, command: list[str], **_: Any) -> Server:
        number = int(command[command.index("--process") + 1])
        assert self.stopped_at is None, "a server is started after the stop"
        assert number not in {server.number for server in self.living}, "two servers in one place"
        assert self.clock.now >= self.may_start_at[number] - 1e-6, "a server is started too soon"
        if self.cannot_start:
            self._next_after(number, 0.0)
            raise OSError(12, "Cannot allocate memory")
        self.made.append(Server(self, number))
        return self.made[-1]

    def _next_after(self, number: int, lived_s: float) -> None:
        """By the rule: 0.1 s, doubling to 30 s, from the beginning after ten seconds."""
        delay_s = FIRST_S if lived_s >= HEALTHY_S else self._delays[number]
        self._delays[number] = min(LONGEST_S, 2 * delay_s)
        self.may_start_at[number] = self.clock.now + delay_s

    def ended(self, server: Server) -> None:
        returned = server.returncode
        if returned in (0, STATUS_SCRIPT_FAILED) or (returned == STATUS_CANNOT_SERVE and not self._has_served):
            if returned:
                self.status = STATUS_FAILED if returned == STATUS_CANNOT_SERVE else STATUS_SCRIPT_FAILED
            self._stop()
        elif self.stopped_at is None:
            self._has_served = True
            self._next_after(server.number, self.clock.now - server.born)

    def killed(self, server: Server) -> None:
        now = self.clock.now
        if self.stopped_at is not None and now > self.stopped_at + self.limits.drain_timeout_s:
            return
        since = server.born if server.beaten_at is None else server.beaten_at
        patience_s = STARTS_S if server.beaten_at is None else HANGS_S
        assert now - since > patience_s, f"a server that had been still for {now - since} s is ended"

    # --- what happens -------------------------------------------------------------------------------------------------

    def wait(self, _signals: object, seconds: float) -> SimpleNamespace | None:
        """What the supervisor is woken by. Time passes."""
        assert 0 <= seconds <= 1, "it does not look at its servers any more"
        self._look()
        what, how = self._events.pop(0) if self._events else (0xF8, 0)
        self._pass(min(seconds, PASSES_S[how % len(PASSES_S)]) if what < 0xF0 else seconds)
        if what >= 0x60:
            return self._happen(what, how)
        return None

    def _pass(self, seconds: float) -> None:
        self.clock.now += max(seconds, 1e-3)
        for server in self.living:
            server.still_s += min(seconds, 1.0)
            server.beat()

    def _happen(self, what: int, how: int) -> SimpleNamespace | None:
        server = self.living[how % len(self.living)] if self.living else None
        number: signal.Signals | None = signal.SIGCHLD
        if what < 0xA0:
            if server is not None:
                server.end(RETURNED[(how >> 2) % (len(RETURNED) if what < 0x68 else 6)])
        elif what < 0xB0 and server is not None:
            server.beats = not server.beats
        elif what < 0xB8:
            self.cannot_start = not self.cannot_start
        elif what < 0xC0:
            self.obeys = not self.obeys
        elif what < 0xC8:
            self.clock.now += PAUSED_S
            self._paused_s += PAUSED_S
        elif what < 0xD0 and self.following is not None:
            self.following.has_successor = True
            number = self._told(LEAVE)
        elif what < 0xE0:
            self._events[:0] = QUIET[: max(0, MOST_QUIET - len(self._events))]
        elif what < 0xE8:
            self.starts_slowly = not self.starts_slowly
        elif what >= 0xF8:
            number = self._told(signal.SIGTERM)
        elif what >= 0xF4:
            number = signal.SIGHUP
            if not self.leads_session:
                self._stop()
        return SimpleNamespace(si_signo=number)

    def _told(self, number: signal.Signals) -> signal.Signals:
        self._stop()
        return number

    def _stop(self) -> None:
        if self.stopped_at is None:
            self.stopped_at = self.clock.now

    def _look(self) -> None:
        """What holds whenever it waits."""
        now = self.clock.now
        if self.stopped_at is not None:
            latest = self.stopped_at + self.limits.drain_timeout_s + supervisor.KILL_AFTER_S + LINGER_S
            assert now <= latest + SLACK_S or not self.living, "a server outlives the stop"
            return
        for server in self.living:
            patience_s = STARTS_S if server.beaten_at is None else HANGS_S
            assert server.still_s < patience_s + SLACK_S, "a server hangs, and nobody ends it"
        places = {server.number for server in self.living}
        for number in set(range(self.processes)) - places:
            assert now < self.may_start_at[number] + 1.0 + self._paused_s, "nobody follows"


def check_one(data: bytes) -> None:
    events = [data[start : start + STEP] for start in range(1, len(data) - STEP + 1, STEP)][:MOST_STEPS]
    world = World(data[0] if data else 0, events)
    with ExitStack() as patches:
        for module in (supervisor, server_process, pulse):
            patches.enter_context(patch.object(module, "time", world.clock))
        leader = os.getpid() if world.leads_session else 1
        for owner, name, value in (
            (server_process, "subprocess", SimpleNamespace(Popen=world.start)),
            (server_process, "end_left_behind", lambda _: None),
            (server_process, "say", lambda _: None),
            (supervisor, "say", lambda _: None),
            (supervisor, "reap_others", lambda _: None),
            (supervisor, "end_descendants", lambda: None),
            (supervisor, "is_removed", lambda: False),
            (supervisor.Supervisor, "_cut_logs", lambda each: setattr(each, "_limits", world.limits)),
            (signal, "sigtimedwait", world.wait),
            (os, "getsid", lambda _: leader),
        ):
            patches.enter_context(patch.object(owner, name, value))
        run(world)
    assert not world.living, "a server is left"


def run(world: World) -> None:
    """The supervisor's life."""
    with socket.socket() as listening, contextlib.ExitStack() as closing:
        one = supervisor.Supervisor(
            listening,
            lock=0,
            processes=world.processes,
            parent=None,
            succession=world.following,  # type: ignore[arg-type]
        )
        for descriptor in (one._lifeline, one._life, one._metrics):
            closing.callback(os.close, descriptor)
        world.memory = one._metrics
        status = one.run()
    assert world.stopped_at is not None, "it has ended, and nobody had told it to"
    assert status == world.status, f"status {status}, not {world.status}"

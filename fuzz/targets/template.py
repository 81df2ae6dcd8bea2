"""Workers that are forked from a template, over time: however templates and forks start, answer, hang and die, whatever
the system refuses the server, and whenever it is scaled, released or stopped, each place is filled in the end or given
up with a reason, a stop is bounded, what is said of an end is what happened, and nothing is left of anybody.

An input is a seed for everything that varies, a byte of settings, and steps of three bytes: what happens, to whom, and
how. The pools are the real ones down to the system's calls (``made_up_system``).
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from fuzz.made_up_forks import Fork, Process, TemplateProcess
from fuzz.made_up_system import DESCRIPTORS, MEMORY, PROCESSES, System
from fuzz.targets import pool as pools
from modelport_scoring import Limits
from modelport_scoring.failures import StartFailed, describe_exit
from modelport_scoring.settings.service import WorkerStart
from modelport_scoring.workers.group import STOP_PATIENCE_S
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.template import EXIT_UNKNOWN, FORK_TIMEOUT_S, PATIENCE_S
from modelport_scoring.workers.ticket import Refusal
from modelport_scoring.workers.worker import WorkerState

STEP = 3
MOST_STEPS = 100
MOST_REVISIONS = 4
WAITS_S = (0.002, 0.01, 0.05, 0.2, 1.1, 3.0, 6.0, 12.0)
WANTS = (DESCRIPTORS, MEMORY, PROCESSES)
STATUSES = (-signal.SIGKILL, 0, 3, -signal.SIGSEGV)
LIMITS = Limits(scoring_timeout_ms=2_000, scoring_grace_ms=500, queue_wait_ms=20_000)
DRAIN_S = 3.0
SLACK_S = 2.0
"""For what follows a kill: last words, and a status that is waited for."""
MOST_STOPPING_S = DRAIN_S + STOP_PATIENCE_S + FORK_TIMEOUT_S + PATIENCE_S + SLACK_S
TELLS_S = 0.6
"""A template tells within that how a fork ended."""

SETTLES_S = 150.0
"""The longest start, and twice the longest wait before another one."""

ENDED = re.compile(r"modelport: (?:worker|the template) (\d+)[^(]* ended \((.*)\)", re.DOTALL)


class Request(pools.Request):
    """Of which any may be lost: the workers do not say with which they have begun."""

    def lost(self) -> None:
        self.source = None
        self._tell("lost")


class Revision:
    """One pool's life."""

    def __init__(self, number: int, how: int, system: System) -> None:
        self.number = number
        self._system = system
        loop = system.loop
        self._is_proven = bool(how & 1)
        launch = Launch(
            command=(str(number),),
            environment={},
            cwd=Path("/"),
            log=Path(f"/{number}"),
            start_timeout_s=40.0 if how & 4 else 5.0,
            start=WorkerStart.FORK,
            warm_up=bool(how & 2),
        )
        self.pool = Pool(
            launch, revision=number, size=1 + how // 8 % 3, limits=LIMITS, loop=loop, observer=pools.Observer()
        )
        self._loop = loop
        self.started = loop.create_task(self._start())
        self.stopped: asyncio.Task[None] | None = None

    async def _start(self) -> None:
        try:
            await self.pool.start(is_proven=self._is_proven)
        except StartFailed as failed:
            assert failed.failure.message, "nobody is told why"
            assert not self.pool.workers or self.pool.group.closing, "the start is given up, and a worker is left"
            assert not self._is_proven or self.pool.is_closing, "what was proven is given up"

    def stop(self) -> asyncio.Task[None]:
        if self.stopped is None:
            self.stopped = self._loop.create_task(self._stop())
        return self.stopped

    async def _stop(self) -> None:
        begun = self._loop.time()
        self._system.stopped.add(self.number)
        for ticket in await self.pool.drain(DRAIN_S):
            ticket.refused(Refusal.NO_WORKER)
        took_s = self._loop.time() - begun
        assert took_s <= MOST_STOPPING_S, f"a stop took {took_s:.1f} s"


class Visit:
    """What happens to the revisions."""

    def __init__(self, system: System, how: int) -> None:
        self.system = system
        self.requests: list[Request] = []
        self.revisions = [Revision(1, how, system)]
        self._chance = system.chance

    async def run(self, steps: list[bytes]) -> None:
        for step in steps:
            await self._step(*step)
        self.system.behave()
        await asyncio.sleep(SETTLES_S)
        for revision in self.revisions:
            self._check_settled(revision)
        await asyncio.wait([revision.stop() for revision in self.revisions], timeout=2 * MOST_STOPPING_S)
        for revision in self.revisions:
            assert revision.stop().done(), "a stop does not end"
            revision.stop().result()
            assert revision.started.done(), "a start does not end"
            revision.started.result()
            assert not self._living(revision), "the stop has ended, and a process has not"
        await asyncio.sleep(SETTLES_S)

    # --- what happens -------------------------------------------------------------------------------------------------

    async def _step(self, what: int, which: int, how: int) -> None:
        system, revision = self.system, self.revisions[which % len(self.revisions)]
        living = system.living
        process = living[how % len(living)] if living else None
        if what < 0x48:
            await asyncio.sleep(WAITS_S[how % len(WAITS_S)])
        elif what < 0x80:
            list(system.manners.values())[which % 4].append(how)
        elif what < 0x88:
            system.habits[list(system.habits or system.manners)[which % len(system.habits or system.manners)]] = how
        elif what < 0x8C:
            system.habits.clear()
        elif what < 0xA0 and process is not None:
            self._befall(process, which)
        elif what < 0xB0:
            revision.pool.resize(1 + how % 4)
        elif what < 0xB6 and len(self.revisions) < MOST_REVISIONS:
            self.revisions.append(Revision(len(self.revisions) + 1, how, system))
        elif what < 0xBC:
            revision.stop()
        elif what < 0xC4:
            system.short_of ^= {WANTS[how % 3]}
        elif what < 0xD4:
            system.calls_until_refusal = 1 + how % 16
        elif what < 0xE8 and revision.stopped is None:
            self.requests.append(Request(b"x" * (how % 8), detour=False))
            revision.pool.submit(self.requests[-1])
        for _ in range(self._chance.randrange(6)):
            await asyncio.sleep(0)

    def _befall(self, process: Process, how: int) -> None:
        if how < 0x80:
            process.end(STATUSES[how % len(STATUSES)])
            return
        if isinstance(process, TemplateProcess):
            process.was_odd = True
        if how < 0xA0:
            process.is_deaf = isinstance(process, Fork)
            process.cut_off()
        elif how < 0xC0:
            process.start_member()
        elif how < 0xE0:
            process.is_deaf = True
            process.hang()
        else:
            process.is_deaf = True

    # --- what holds ---------------------------------------------------------------------------------------------------

    def _living(self, revision: Revision) -> list[Process]:
        return [
            each
            for each in self.system.processes.values()
            if each.revision == revision.number and (each.returncode is None or each.members) and not is_lost(each)
        ]

    def _check_settled(self, revision: Revision) -> None:
        group, living = revision.pool.group, self._living(revision)
        if revision.pool.is_closing:
            assert not living or revision.stopped is not None, "a start is given up, and a process is left"
            return
        assert revision.started.done(), "a start does not end"
        states = [worker.state for worker in revision.pool.workers]
        assert states == [WorkerState.READY] * group.wanted, f"{group.wanted} are wanted, there are {states}"
        assert revision.pool.ready_count == len(group.seats) == group.wanted
        assert group.failure is None, "they are ready, and one has failed"
        forks = {each.pid for each in living if isinstance(each, Fork) and each.is_known}
        assert forks <= {worker.pid for worker in revision.pool.workers}, "a fork belongs to nobody"
        templates = [each for each in living if isinstance(each, TemplateProcess)]
        assert len(templates) <= 1, "a template is of no use, and goes on"
        for template in templates:
            left = [child for child in template.children.values() if child.returncode is not None]
            assert template.was_odd or not left, "a zombie is left"


def is_lost(process: Process) -> bool:
    """Whether nobody can end it, which does not see that its channel is closed, or what is in its group: the server
    does not know of it, or could not look at it and its template is of no help."""
    if not isinstance(process, Fork):
        return False
    if process.returncode is None:
        is_alone = process.was_missed and (process.template.was_odd or process.template.returncode is not None)
        return process.is_deaf and (is_alone or not process.is_known)
    return bool(process.members) and (process.was_missed or not process.is_known)


def check_one(data: bytes) -> None:
    open_before = count_descriptors()
    system = System(random.Random(data[:1]))
    steps = [data[start : start + STEP] for start in range(2, len(data) - STEP + 1, STEP)][:MOST_STEPS]
    asyncio.set_event_loop(None)
    with ExitStack() as patches:
        patches.enter_context(system.patched())
        for module in pools.TIMED:
            clock = SimpleNamespace(monotonic=system.loop.time)
            patches.enter_context(patch.object(module, "time", clock))
        try:
            visit = Visit(system, data[1] if len(data) > 1 else 0)
            system.loop.run_until_complete(visit.run(steps))
            check_end(visit)
        finally:
            system.end()
    left = count_descriptors() - open_before
    assert left <= 0, f"{left} descriptors are left"  # fewer, where what an earlier one has left was collected


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def check_end(visit: Visit) -> None:
    """Nothing is left, and what was said is so."""
    system = visit.system
    faults = [fault for fault in system.loop.faults if fault.get("exception") not in system.refused]
    assert not faults, faults
    assert not asyncio.all_tasks(system.loop), "something is still done"
    for request in visit.requests:
        ends = [what for what in request.told if what in pools.ENDS]
        assert len(ends) == 1, f"{request.told}"
    for each in system.processes.values():
        assert is_lost(each) or each.returncode is not None, f"process {each.pid} is left"
        assert is_lost(each) or not each.members, f"a process of the group {each.pid} is left"
        assert is_lost(each) or each.is_reaped, f"process {each.pid} is a zombie"
    assert all(each.fileno() < 0 for each in system.sockets), "a socket is left"
    assert not system.watched, "a process that has ended is watched"
    for each in system.processes.values():
        if isinstance(each, TemplateProcess) and each.failed_at is not None:
            assert each.ended_at < each.failed_at + 1.0, "a template whose start has failed goes on"
    for line in system.lines:
        said = ENDED.match(line)
        if said is not None:
            check_said(system.processes[int(said[1])], said[2])


def check_said(process: Process, how: str) -> None:
    """What is said of its end."""
    assert process.returncode is not None
    if isinstance(process, Fork) and (process.template.was_odd or process.template.was_slow):
        return
    if how == EXIT_UNKNOWN:
        assert isinstance(process, Fork)
        had_time = process.template.ended_at - process.ended_at > TELLS_S
        assert not had_time, "its template would have told how it ended"
    else:
        assert how == describe_exit(process.returncode), f"{how}, not {process.returncode}"

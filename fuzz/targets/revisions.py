"""The revisions of a service, over time: while they are switched, hosted, promoted, released, scaled and changed, and
their workers start, fail and die, each request is answered once, by a revision that may answer it; copies go to nobody;
and what runs in the end is what the settings say.

An input is a seed for everything that varies, a byte of settings, and steps of three bytes: what happens, to which
revision, worker or request, and how. Time passes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import Any

import msgspec

from fuzz.hosted_service import Client, Detour, NamedProcess, World, input_of
from modelport_scoring.errors import RequestRefused, SwitchFailed, SwitchInProgress
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.settings.service import (
    Autoscale,
    Batching,
    Changes,
    Limits,
    RevisionSettings,
    RevisionSize,
    ServiceSettings,
    WorkerStart,
    limits_of,
)
from modelport_scoring.settings.size import size_of
from modelport_scoring.settings.traffic import Traffic, shares
from modelport_scoring.states import ServiceState
from modelport_scoring.workers.worker import Worker, WorkerState

STEP = 3
MOST_STEPS = 150
NUMBERS = 7
"""Revisions have numbers below, from 1 on."""

WAITS_S = (0.01, 0.2, 1.1, 3.0, 6.0, 35.0)
TICK_S = 0.25
SETTLED_S = 45.0
MOST_SETTLING_S = 400.0
DRAIN_S = 5.0
VALUES = (b"", b"a", b"b", b"c", b"d")
"""Of the sticky header."""

LIMITS = (
    Limits(scoring_timeout_ms=1_000, scoring_grace_ms=500, queue_wait_ms=20_000, start_timeout_s=5, drain_timeout_s=3),
    Limits(queue_wait_ms=3_000, max_queue_length=3, max_queue_bytes=90, start_timeout_s=40, drain_timeout_s=30),
    Limits(queue_wait_ms=3_000, max_concurrent_requests=2, requests_per_worker=2, drain_timeout_s=1),
)
AUTOSCALES = (None, None, Autoscale(max_workers=3, calm_s=2.0), Autoscale(min_workers=2, max_workers=4, calm_s=20.0))
BATCHINGS = (None, None, None, Batching(max_requests=4))
REFUSALS = (RequestRefused, SwitchFailed, SwitchInProgress)


def make_revision(number: int, how: int) -> RevisionSettings:
    return RevisionSettings(
        number=number,
        bundle="/bundle",
        interpreter=["python"],
        workers=(None, 1, 2)[how % 3],
        autoscale=AUTOSCALES[how // 4 % 4],
        limits={"queue_wait_ms": 5_000} if how % 5 == 0 else {},
    )


def first_settings(how: int) -> ServiceSettings:
    return ServiceSettings(
        name="s",
        workspace="w",
        revision=make_revision(1, how),
        others=[make_revision(2, how >> 1)] if how & 1 else [],
        workers=1 + (how >> 1 & 1),
        limits=LIMITS[how % 3],
        traffic=Traffic(version_header="version", sticky_header="user" if how & 4 else None),
        ends_with_script=bool(how & 8),
    )


def make_traffic(settings: ServiceSettings, chance: random.Random) -> Traffic:
    """One that these revisions may have; now and then not."""
    others = [other.number for other in settings.others]
    weights = {number: chance.choice((0.0, 10.0, 50.0)) for number in others[:2]}
    if chance.random() < 0.1:
        weights[chance.randrange(1, NUMBERS)] = 40.0
    copied = [number for number in others if not weights.get(number)]
    return Traffic(
        weights=weights,
        sticky_header=chance.choice((None, "user")),
        version_header=chance.choice((None, "version", "version")),
        shadow=chance.choice((None, *copied)),
        shadow_percent=chance.choice((50.0, 100.0)),
        shadow_copies=chance.choice((1, 3, 256)),
    )


def make_changes(how: int, now: ServiceSettings) -> Changes:
    if how < 0x40:
        return Changes(limits=LIMITS[how % 3])
    if how < 0x80:
        return Changes(workers=1 + how % 3)
    if how < 0xA0:
        return Changes(autoscale=AUTOSCALES[how % 4])
    if how < 0xC0:
        return Changes(worker_start=(WorkerStart.SPAWN, WorkerStart.FORK)[how % 2])
    if how < 0xD0:
        return Changes(warm_up=not now.warm_up, workers=1 + how % 3)
    return Changes(batching=BATCHINGS[how % 4], limits=LIMITS[how % 3])


class Visit:
    """The service's life."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients: list[Client] = []
        self._verbs: set[asyncio.Task[None]] = set()
        self._chance = world.chance
        self._stuck: dict[bytes, int] = {}
        """To which revision the values of the sticky header went, as long as nothing changes."""
        world.disk.adopted = self._adopted
        self._bad: set[int] = set()
        """Revisions whose workers never start."""

    async def run(self, steps: list[bytes]) -> None:
        started = self.world.loop.create_task(self.world.service.start())
        for step in steps:
            await self._step(*step)
            self._look()
        await self._settle()
        self._check_settled()
        await self._probe()
        await self._stop()
        await started

    # --- what happens -------------------------------------------------------------------------------------------------

    async def _step(self, what: int, which: int, how: int) -> None:
        living = self.world.living
        process = living[which % len(living)] if living else None
        if what < 0x40:
            self._send(which, how, takes_detour=what < 0x04)
        elif what < 0x48 and self.clients:
            self.clients[which % len(self.clients)].leave()
        elif what < 0x4C and self.clients:
            come_back(self.clients[which % len(self.clients)])
        elif what < 0xA0 and process is not None:
            await asyncio.sleep(0)
            self._go_on(process, how)
        elif what < 0xA6 and process is not None:
            process.kill()
        elif what < 0xA8 and process is not None:
            process.cut_off()
        elif what < 0xAA:
            self.world.disk.is_full = not self.world.disk.is_full
        elif what < 0xAD:
            self._bad ^= {1 + which % NUMBERS}
        elif what < 0xC0:
            await asyncio.sleep(WAITS_S[how % len(WAITS_S)])
        else:
            self._ask(what, which, how)
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    def _go_on(self, process: NamedProcess, how: int) -> None:
        if process.is_cut_off or process.exit is not None:
            return
        if process.is_ready:
            process.go_on(how)
        else:
            process.become_ready(fails=how > 0xE8 or process.number in self._bad)

    def _send(self, which: int, how: int, *, takes_detour: bool = False) -> Client:
        headers = {}
        if how & 3 == 3:
            headers[b"version"] = b"%d" % (1 + which % NUMBERS)
        if how & 0x0C:
            headers[b"content-type"] = b"application/json"
        if value := VALUES[(how >> 4) % len(VALUES)]:
            headers[b"user"] = value
        client = Client(len(self.clients), headers, self.world.given, padding=which % 60)
        self.clients.append(client)
        self._submit(client, takes_detour=takes_detour)
        return client

    def _submit(self, client: Client, *, takes_detour: bool) -> None:
        service = self.world.service
        ticket = client.ticket = (Detour if takes_detour else Scoring)(client.exchange, service)
        client.may_answer, is_certain = self._expected(client)
        drawn = len(self.world.drawn)
        service.submit(ticket, client.exchange)
        if is_certain and ticket.revision:
            assert ticket.revision in client.may_answer, f"{ticket.revision} of {client.may_answer}"
        if not ticket.tied:
            self._check_choice(client, self.world.drawn[drawn:])

    def _expected(self, client: Client) -> tuple[set[int], bool]:
        """Revisions that may get the request, and whether that is certain."""
        hosting, traffic = self.world.service.hosting, self.world.service.settings.traffic
        asked = client.exchange.head.headers.get(b"version")
        if asked is not None and traffic.version_header is not None:
            return {int(asked)}, True
        percents = shares(traffic, default=hosting.default.number, others=hosting.others)
        ready = {each.number for each in hosting.all if each.is_ready}
        return {number for number, percent in percents.items() if percent > 0 and number in ready} | {
            hosting.default.number
        }, True

    def _check_choice(self, client: Client, drawn: list[float]) -> None:
        """By the value of the header, where there is one, and by chance in the proportion of the weights."""
        assert client.ticket is not None
        hosting, traffic = self.world.service.hosting, self.world.service.settings.traffic
        chosen, default = client.ticket.revision, hosting.default.number
        if not chosen or self.world.service._router is None:
            return
        value = client.exchange.head.headers.get(b"user") if traffic.sticky_header is not None else None
        if value is not None:
            assert not drawn, "by chance, in spite of the header"
            if all(each.is_ready for each in hosting.all):
                assert self._stuck.setdefault(value, chosen) == chosen, f"{value!r} goes to another revision"
            return
        point, number = drawn[0] * 100, default
        for other in hosting.others:
            percent = traffic.weights.get(other, 0.0)
            if point < percent:
                number = other
                break
            point -= percent
        if number != default and not hosting.others[number].is_ready:
            number = default
        assert chosen == number, f"{chosen} instead of {number}"

    # --- verbs --------------------------------------------------------------------------------------------------------

    def _ask(self, what: int, which: int, how: int) -> None:
        settings, verbs = self.world.service.settings, self.world.verbs
        number = 1 + which % NUMBERS
        hosted = [each.number for each in self.world.service.hosting.all]
        one = hosted[which % len(hosted)]
        changes = make_changes(how, settings)
        given = [name for name in changes.__struct_fields__ if getattr(changes, name) is not msgspec.UNSET]
        about = ["revision", "others"]
        verb: Coroutine[Any, Any, Any]
        if what < 0xC8:
            replacing = None if how & 1 else one
            about += ["traffic", *given] if how & 2 else ["traffic"]
            given_changes = changes if how & 2 else Changes()
            verb = verbs.switch(make_revision(number, how), replacing=replacing, changes=given_changes)
        elif what < 0xD2:
            about = ["others"]
            verb = verbs.host(make_revision(number, how))
        elif what < 0xD8:
            about += ["traffic"]
            verb = verbs.release(one if how < 0xE0 else number)
        elif what < 0xDE:
            about += ["traffic"]
            verb = verbs.promote(one if how < 0xE0 else number)
        elif what < 0xEC:
            about = ["traffic", "headers"]
            verb = verbs.split(make_traffic(settings, self._chance))
        elif what < 0xF0:
            size = RevisionSize(workers=(None, 1, 3)[how % 3], autoscale=AUTOSCALES[how // 4 % 4])
            verb = verbs.scale(one, size)
        elif what < 0xFA:
            about = given
            verb = verbs.configure(changes)
        else:
            about = ["all", "headers"]
            verb = self._apply(settings, which, how)
        task = self.world.loop.create_task(carry_out(verb), name=" ".join(about))
        self._verbs.add(task)
        task.add_done_callback(self._verbs.discard)

    async def _apply(self, settings: ServiceSettings, which: int, how: int) -> None:
        revisions = [each for each in settings.revisions if self._chance.random() < 0.7]
        taken = {each.number for each in revisions}
        for number in {1 + which % NUMBERS, 1 + how % NUMBERS} - taken:
            revisions.append(make_revision(number, how))
        self._chance.shuffle(revisions)
        wanted = msgspec.structs.replace(settings, revision=revisions[0], others=revisions[1:])
        wanted = msgspec.structs.replace(wanted, traffic=make_traffic(wanted, self._chance))
        await self.world.verbs.apply(make_changes(how, settings).applied_to(wanted))

    # --- what holds at any time ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        service = self.world.service
        settings, hosting = service.settings, service.hosting
        assert self.world.disk.written is settings, "what is in force is not what is written"
        numbers = [each.number for each in hosting.all]
        assert numbers == [each.number for each in settings.revisions], "not what the settings name"
        assert all(each.settings in settings.revisions for each in hosting.all), "not as the settings name it"
        if hosting._has_folders.is_set():
            assert (service._router is None) == (not hosting.others and settings.traffic.version_header is None)
            assert service.active is hosting.default.revision
        for each in hosting.all:
            self._look_at(each, settings)
        for ticket in service._early._tickets:
            waits_for = hosting.find(ticket.revision) if ticket.tied else hosting.default
            assert waits_for is None or waits_for.revision is None, "somebody waits for a revision that is there"
        for shadow in self.world.shadows:
            assert 0 <= shadow._held <= shadow._most, "more copies than there may be"
        serving = [revision.pool for revision in hosting.running]
        for endings in hosting._draining._ending.values():
            serving += [revision.pool for revision in endings.values()]
        for pool in self.world.pools:
            assert pool in serving or not len(pool.line), "somebody waits for a revision that has gone"

    def _look_at(self, hosted: Hosted, settings: ServiceSettings) -> None:
        running = hosted.revision
        if running is None:
            return
        pool = running.pool
        assert pool.limits == limits_of(settings, hosted.settings), "limits that are not in force"
        assert all(worker.state is not WorkerState.STOPPING for worker in pool._ready), "it takes nothing more"
        if len(pool.line) and not pool._is_full():
            assert not any(worker.takes_more() for worker in pool._ready), "nobody gives what waits to who is free"
        if hosted.number != settings.traffic.shadow:
            copies = [ticket for ticket in pool.line._tickets if ticket.is_copy]
            assert not copies, "copies wait for a revision that is the shadow no more"
        size = size_of(settings, hosted.settings)
        if running._has_started and not pool.is_closing:
            wanted = size.fitted(pool.wanted)
            assert pool.wanted == wanted, f"{pool.wanted} workers wanted, not {wanted}"
            staying = [seat for seat in pool.group.seats if not seat.given_up.is_set()]
            assert len(staying) == wanted, f"{len(staying)} workers are kept, not {wanted}"

    def _adopted(self, settings: ServiceSettings) -> None:
        """Others may answer now what nobody has answered yet."""
        self._check_change(settings)
        self._stuck.clear()
        known = {each.number for each in self.world.service.settings.revisions}
        new = {each.number for each in settings.revisions} - known
        for client in self.clients:
            if client.ticket is not None and not client.ticket.tied:
                client.may_answer |= {settings.revision.number} | new

    def _check_change(self, settings: ServiceSettings) -> None:
        """A verb changes what it is about, and nothing that another one has changed meanwhile."""
        now = self.world.service.settings
        task = asyncio.current_task()
        assert task is not None
        about = task.get_name().split()
        changed = {name for name in now.__struct_fields__ if getattr(now, name) != getattr(settings, name)}
        assert "all" in about or changed <= set(about), f"{changed} are changed by a verb that is about {about}"
        if "headers" not in about:
            same = msgspec.structs.replace(now.traffic, weights={}, shadow=None)
            assert same == msgspec.structs.replace(settings.traffic, weights={}, shadow=None), "the traffic is another"

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """All goes well from now on."""
        loop = self.world.loop
        begun = loop.time()
        self.world.disk.is_full = False
        while loop.time() - begun < SETTLED_S or not self._is_settled:
            assert loop.time() - begun < MOST_SETTLING_S, "somebody waits for ever"
            self._tick()
            self._look()
            await asyncio.sleep(TICK_S)

    def _tick(self) -> None:
        for process in self.world.living:
            self._go_on(process, 0x81)
        for client in self.clients:
            come_back(client)

    @property
    def _is_settled(self) -> bool:
        return not self._verbs and all(client.is_served for client in self.clients)

    def _check_settled(self) -> None:
        service = self.world.service
        hosting, settings = service.hosting, service.settings
        kept: list[Worker] = []
        for hosted in hosting.all:
            if hosted.start_failure is not None or hosted.number in self._bad:
                kept += [] if hosted.revision is None else hosted.revision.pool.workers
                continue
            assert hosted.is_ready and hosted.revision is not None, f"revision {hosted.number} is {hosted.state}"
            pool = hosted.revision.pool
            assert pool.ready_count == pool.wanted == len(pool.group.seats), f"{pool.ready_count} of {pool.wanted}"
            is_late = hosted.number in self.world.noted  # it may have been down when the others got their new workers
            assert is_late or hosted.options == settings.worker_options
            assert not hosted.in_flight and not hosted.waiting
            kept += pool.workers
        processes: list[object] = [worker._process for worker in kept]
        assert all(process in processes for process in self.world.living), "a worker belongs to nobody"
        assert not hosting._prepared.all, "what was prepared is kept"
        assert not any(hosting._draining._ending.values()), "a revision does not end"
        folders = {each.revision._folder.app for each in hosting.all if each.revision is not None}
        assert self.world.disk.folders >= {each.folder for each in self.world.living}, "a folder is missing"
        assert self.world.disk.folders <= folders, "a folder is left"
        inputs = {input_of(each.number) for each in hosting.all if each.start_failure is None}
        if not self._bad and inputs:
            common = "raw" if "raw" in inputs else inputs.pop() if len(inputs) == 1 else service.input
            assert service.input == common, f"{service.input} is not what the scripts take"
        self._check_copies()

    def _check_copies(self) -> None:
        for shadow in self.world.shadows:
            assert (shadow._held, shadow._held_bytes) == (0, 0), "a copy is held for ever"

    async def _probe(self) -> None:
        """Each revision answers whoever asks for it."""
        service = self.world.service
        for hosted in service.hosting.all:
            client = self._send(hosted.number - 1, 0x07)
            for _ in range(20):
                await asyncio.sleep(TICK_S)
                self._tick()
            assert client.is_over, "no answer"
            is_asked = service.settings.traffic.version_header is not None
            asked = hosted if is_asked else service.hosting.default
            if asked.is_ready and is_asked:
                assert client.response is not None and client.response.status == 200, client.response

    async def _stop(self) -> None:
        """While requests come, and verbs."""
        world = self.world
        for which in range(self._chance.randrange(8)):
            self._send(which, self._chance.randrange(256))
        for _ in range(self._chance.randrange(2)):
            self._ask(self._chance.randrange(0xC0, 0x100), self._chance.randrange(8), self._chance.randrange(256))
        await asyncio.sleep(self._chance.choice((0.0, 0.01, 0.03)))
        stopping = world.loop.create_task(world.service.stop(drain_timeout_s=DRAIN_S))
        hangs = self._chance.random() < 0.3
        while not stopping.done():
            if not hangs:
                self._tick()
            await asyncio.sleep(TICK_S)
        stopping.result()
        for client in self.clients:
            come_back(client)
        await asyncio.sleep(60.0)


async def carry_out(verb: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(*REFUSALS):
        await verb


def come_back(client: Client) -> None:
    if isinstance(client.ticket, Detour):
        client.ticket.come_back()


def check_one(data: bytes) -> None:
    steps = [data[start : start + STEP] for start in range(2, len(data) - STEP + 1, STEP)][:MOST_STEPS]
    how = data[1] if len(data) > 1 else 0
    known = {1, 2} if how & 0x10 else set()
    noted = {1, 2} if how & 0x20 else set()
    world = World(first_settings(how), random.Random(data[:1]), known=known, noted=noted)
    world.disk.is_full = bool(how & 0x40)
    with world.patched():
        try:
            world.begin()
            visit = Visit(world)
            world.loop.run_until_complete(visit.run(steps))
            check_end(visit)
        finally:
            world.loop.close()


def check_end(visit: Visit) -> None:
    """Each request has its end, and nothing is left."""
    world = visit.world
    assert not world.loop.faults, world.loop.faults
    for client in visit.clients:
        assert client.is_served, f"no answer, {client.ticket}"
    assert not asyncio.all_tasks(world.loop), "something is still done"
    assert not world.living, "a worker is left"
    assert all(process.page.descriptor < 0 for process in world.made), "the memory of a worker is left"
    assert not world.disk.folders, "a folder is left"
    visit._check_copies()
    answered = sum(client.response is not None for client in visit.clients)
    assert world.counts.told >= answered, "an answer is not counted"
    assert all(hosted.state is not ServiceState.RUNNING for hosted in world.service.hosting.all)

"""A service whose revisions, router and verbs are the real ones, and whose disk, workers and clients are made up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fuzz.made_up_workers import Loop, Process
from modelport_scoring import service
from modelport_scoring.bundle import Manifest
from modelport_scoring.control import verbs
from modelport_scoring.control.peers import Peers
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.ids import read_ids
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.logs.journal import Journal
from modelport_scoring.revisions import earlier_starts, hosting, revision
from modelport_scoring.service import Service
from modelport_scoring.serving import scoring
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.settings.service import ServiceSettings, WorkerStart
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.traffic import shadow, split
from modelport_scoring.workers import alertness, group, pool, replies, timeouts, worker
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.ticket import Ticket

TIMED = (pool, worker, replies, timeouts, alertness, scoring)
"""Modules that ask for the time."""

THREAD_S = 0.02
"""What is done in a thread takes so long."""

INPUTS = ("text", "text", "json", "raw")
"""What the scripts of the revisions take, by their numbers."""


def input_of(number: int) -> str:
    return INPUTS[number % len(INPUTS)]


class LoopWithThreads(Loop):
    """What is done in a thread is done later, too."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()

        def do() -> None:
            try:
                result = func(*args)
            except Exception as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)

        self.call_later(THREAD_S, do)
        return done


# --- the disk ---------------------------------------------------------------------------------------------------------


class Disk:
    """What of it there is: working folders, and the settings that were last written."""

    def __init__(self) -> None:
        self.is_full = False
        self.folders: set[Path] = set()
        self.written: ServiceSettings | None = None
        self.is_used: Callable[[Path], bool] = lambda _: False
        """Whether a worker runs in a folder."""
        self.adopted: Callable[[ServiceSettings], None] = lambda _: None
        """Called for settings that are written, and in force from this moment on."""

    def write_settings(self, _folder: Path, settings: ServiceSettings) -> None:
        self.need_room()
        self.written = settings
        self.adopted(settings)

    def need_room(self) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")


class Folder:
    """A ``WorkingFolder``."""

    disk: Disk

    def __init__(self, path: Path) -> None:
        self.app = path
        self._present = 0

    def enter(self) -> None:
        self._present += 1

    def leave(self) -> bool:
        self._present -= 1
        assert self._present >= 0, "a folder is left twice"
        return not self._present

    def fill(self) -> None:
        self.remove()
        self.disk.need_room()
        self.disk.folders.add(self.app)

    def remove(self) -> bool:
        assert not self.disk.is_used(self.app), "the working folder is taken from under its workers"
        self.disk.folders.discard(self.app)
        return True


def fill_folder(_bundle: Path, folder: Folder) -> Manifest:
    folder.fill()
    return Manifest(format=1, entry_script="score.py")


def plan_launch(settings: ServiceSettings, _manifest: Manifest, *, app: Path, log: Path, caller: object) -> Launch:
    return Launch(
        command=(str(settings.revision.number),),
        environment={},
        cwd=app,
        log=log,
        start_timeout_s=settings.limits.start_timeout_s,
        together=1 if settings.batching is None else settings.batching.max_requests,
        start=settings.worker_start,
        warm_up=settings.warm_up,
    )


# --- workers ----------------------------------------------------------------------------------------------------------


class NamedProcess(Process):
    """A worker whose answers tell who gave them, to whom, and which they are."""

    def __init__(self, loop: Loop, launch: Launch, given: dict[int, Ticket]) -> None:
        super().__init__(loop, start_timeout_s=launch.start_timeout_s)
        self.number = int(launch.command[0])
        self.folder = launch.cwd
        self.launch = launch
        self.ready = b'{"input": "%s"}' % input_of(self.number).encode()
        self._given = given

    def answer_to(self, number: int) -> bytes:
        serial = len(self._given) + 1
        for ticket in self.link._observer.in_flight:
            if ticket.id == number:
                self._given[serial] = ticket
                assert not ticket.is_copy or shadow_of(ticket) == self.number, "a copy for another revision"
        return b"%d %d %b" % (serial, self.number, self.bodies[number].strip())


def shadow_of(copy: Scoring) -> int:
    """The revision that the copy is for."""
    comparison = copy._exchange.order
    assert isinstance(comparison, shadow.Comparison), "the answer to a copy goes to a client"
    return comparison._shadow._revision


class NamedSource:
    """Starts those of one launch."""

    def __init__(self, launch: Launch, made: list[NamedProcess], given: dict[int, Ticket], loop: Loop) -> None:
        self._launch = launch
        self._made = made
        self._given = given
        self._loop = loop
        self._stopped = False

    async def start(self) -> NamedProcess:
        process = NamedProcess(self._loop, self._launch, self._given)
        self._made.append(process)
        return process

    def stop(self) -> None:
        """Those who are forked are given up before they are connected; those who are spawned are their workers'."""
        if self._launch.start is WorkerStart.FORK:
            for process in self._made:
                if process.launch is self._launch and not process.is_ready:
                    process.kill()

    async def end(self) -> None: ...


# --- clients ----------------------------------------------------------------------------------------------------------


class Client:
    """Sends one request, and reads its answer: to the request, it is its connection."""

    address = b"127.0.0.1"

    def __init__(self, number: int, headers: dict[bytes, bytes], given: dict[int, Ticket], *, padding: int) -> None:
        head = Head(method=b"POST", target=b"/score", version="1.1", headers=headers)
        head.ids = read_ids(headers)
        self.number = number
        self.exchange = Exchange(head, b"%d" % number + b" " * padding, self)
        self.response: Response | None = None
        self.may_answer: set[int] = set()
        """Revisions that may."""
        self.ticket: Scoring | None = None
        self.has_left = self.is_over = False
        self._given = given

    @property
    def is_served(self) -> bool:
        return self.is_over or self.has_left

    def leave(self) -> None:
        """As a connection does that is lost."""
        self.has_left = True
        if self.exchange.work is not None:
            self.exchange.work.client_gone()
            self.exchange.work = None

    def answered(self, exchange: Exchange) -> None:
        assert exchange is self.exchange, "the answer of another one"
        assert self.response is None, "a second answer"
        assert exchange.response is not None
        self.response = exchange.response
        if self.response.stream is None:
            self.is_over = True
            if self.response.status == 200:
                self._check(bytes(self.response.body))

    def streamed(self, exchange: Exchange) -> None:
        assert self.response is not None, "more of an answer that has not begun"
        stream = self.response.stream
        assert stream is not None
        assert not self.is_over, "more of an answer that has ended"
        for piece in stream.take():
            self._check(piece)
        self.is_over = stream.done

    def _check(self, body: bytes) -> None:
        serial, number, asked = map(int, body.split())
        ticket = self._given[serial]
        assert not ticket.is_copy, "the answer to a copy"
        assert ticket is self.ticket, "the answer to another request"
        assert asked == self.number, "another request reached the worker"
        assert number in self.may_answer, f"answered by {number}, of {self.may_answer}"
        assert self.response is not None
        named = [line for line in self.response.lines.split(b"\r\n") if line.startswith(b"modelport-revision")]
        assert named in ([], [b"modelport-revision: %d" % number]), f"{named}, by {number}"


class Detour(Scoring):
    """Is away once for each script, before it can be given to a worker, as what is read aside."""

    read_for: Contract | None = None

    def __init__(self, exchange: Exchange, service: Service) -> None:
        super().__init__(exchange, service)
        self.gone_away: list[asyncio.Future[None]] = []
        """It, and its copy."""

    def client_gone(self) -> None:
        super().client_gone()
        if self.away is not None:
            self.abandoned = True
            self._exchange.let_go()

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        if self.read_for is not contract:
            self.read_for = contract
            self.away = asyncio.get_running_loop().create_future()
            self.gone_away.append(self.away)
            return False
        return super().admit(contract, numbers)

    def come_back(self) -> None:
        for away in self.gone_away:
            if not away.done():
                away.set_result(None)
        self.gone_away.clear()


class Counts:
    """The service's telemetry."""

    tracer = access_log = None

    def __init__(self, known: set[int]) -> None:
        self.settings = TelemetrySettings()
        self.told = 0
        self._ready = known

    def configure(self, settings: TelemetrySettings) -> None:
        self.settings = settings

    def scored(self, status: int, revision: int, *_: object) -> None:
        assert 200 <= status <= 599
        self.told += 1

    def became_ready(self, revision: int) -> None:
        self._ready.add(revision)

    def was_ready(self, revision: int) -> bool:
        return revision in self._ready

    def worker_restarted(self, revision: int) -> None: ...

    def batch_redone(self, revision: int) -> None: ...

    def shadow_compared(self, revision: int, *, equal: bool) -> None: ...

    def shadow_dropped(self, revision: int) -> None: ...


# --- all of it --------------------------------------------------------------------------------------------------------


class World:
    """One service and all that it has to do with. ``known``: revisions that had been ready in an earlier server
    process; ``noted``: those that had been under an earlier supervisor."""

    def __init__(self, settings: ServiceSettings, chance: random.Random, *, known: set[int], noted: set[int]) -> None:
        self.loop = LoopWithThreads()
        self.chance = chance
        self.disk = Disk()
        self.disk.written = settings
        self.disk.is_used = lambda path: any(each.folder == path for each in self.living)
        self.made: list[NamedProcess] = []
        self.given: dict[int, Ticket] = {}
        """Each answer's ticket, by the answer's number."""
        self.shadows: list[shadow.Shadow] = []
        self.pools: list[pool.Pool] = []
        self.drawn: list[float] = []
        """What the split has drawn by chance."""
        self.counts = Counts(known)
        self.noted = noted
        self._settings = settings
        self.service: Service
        self.verbs: verbs.Verbs

    @property
    def living(self) -> list[NamedProcess]:
        return [process for process in self.made if process.exit is None]

    def begin(self) -> None:
        """Within ``patched``."""
        self.service = Service(self._settings, folder=Path("/dev/null"), loop=self.loop, telemetry=self.counts)  # type: ignore[arg-type]
        self.verbs = verbs.Verbs(self.service, Peers(1))

    def _draw(self) -> float:
        self.drawn.append(self.chance.random())
        return self.drawn[-1]

    def _make_source(self, launch: Launch, **_: object) -> NamedSource:
        return NamedSource(launch, self.made, self.given, self.loop)

    def _make_shadow(self, *args: Any, **others: Any) -> shadow.Shadow:
        self.shadows.append(shadow.Shadow(*args, **others))
        return self.shadows[-1]

    def _make_pool(self, *args: Any, **others: Any) -> pool.Pool:
        self.pools.append(pool.Pool(*args, **others))
        return self.pools[-1]

    @contextmanager
    def patched(self) -> Iterator[None]:
        """While the service works with what is made up."""
        clock = SimpleNamespace(monotonic=self.loop.time, time=self.loop.time)

        class OurFolder(Folder):
            disk = self.disk

        with ExitStack() as patches:
            for module in TIMED:
                patches.enter_context(patch.object(module, "time", clock))
            for owner, name, value in (
                (group, "SpawnedProcesses", self._make_source),
                (group, "ForkedProcesses", self._make_source),
                (revision, "Pool", self._make_pool),
                (revision, "WorkingFolder", OurFolder),
                (revision, "_prepare_files", fill_folder),
                (revision, "plan_launch", plan_launch),
                (hosting, "clear_work", lambda *_, **__: None),
                (service, "write_settings", self.disk.write_settings),
                (split, "random", SimpleNamespace(random=self._draw)),
                (shadow, "random", SimpleNamespace(random=self.chance.random)),
                (hosting, "say", lambda _: None),
                (verbs, "say", lambda _: None),
                (Journal, "write", lambda *_: None),
                (earlier_starts.EarlierStarts, "_is_noted", lambda _, each: each.number in self.noted),
            ):
                patches.enter_context(patch.object(owner, name, value))
            patches.enter_context(patch("modelport_scoring.traffic.router.Shadow", self._make_shadow))
            yield

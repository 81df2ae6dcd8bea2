"""Workers that come and go while requests come: by configuration, and by load."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest

from modelport_scoring import Autoscale, Limits, RequestRefused, ServiceState, WorkerStart
from modelport_scoring.logs.journal import Journal
from modelport_scoring.revisions import revision
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings
from modelport_scoring.settings.share import WHOLE
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from modelport_scoring.workers.autoscaler import Autoscaler, Decision, Load
from scoring_services import ECHO, Gate, RunningService, Services, load, wait_until, write_bundle
from split_services import state_of

SLEEPER = """
import os, time

def init():
    open(os.environ["MARKS"] + "/init", "a").write("x")

def run(data):
    if data.startswith("sleep "):
        open(os.environ["MARKS"] + "/" + data, "w").close()
        time.sleep(float(data.split()[1]))
    else:
        time.sleep(0.03)
    return os.getpid()
"""

QUICK = Autoscale(max_workers=4, refresh_s=0.2, calm_s=1.0)


def start(services: Services, marks: Path, **more: Any) -> RunningService:
    return services.start(SLEEPER, variables={"MARKS": str(marks)}, **more)


def ready(service: RunningService) -> int:
    return sum(worker.state == "ready" for worker in service.status.workers)


def all_ready(service: RunningService) -> int | None:
    """How many workers there are, once all of them are ready."""
    workers = service.status.workers
    return len(workers) if all(worker.state == "ready" for worker in workers) else None


def gauges(service: RunningService) -> dict[str, float]:
    """Ready and wanted workers, as the last second's metrics tell."""
    lines = service.ask("GET", "/metrics").body.decode().splitlines()
    return {
        name: float(value) for name, value in (line.split() for line in lines if line.startswith("modelport_workers_"))
    }


def statuses(seen: Counter[Any]) -> set[Any]:
    """The statuses that were seen, and errors."""
    return {key[0] if isinstance(key, tuple) else key for key in seen}


# --- the rule ---------------------------------------------------------------------------------------------------------


def decide(busy: float, *, waiting: float = 0.0, given: int = 0, wanted: int = 1, **settings: Any) -> int:
    decision = Decision(Autoscale(**settings), now=0.0)
    load = Load(busy=busy, waiting=waiting, given=given)
    return decision.workers(load, wanted=wanted, ready=wanted, now=1.0)


@pytest.mark.parametrize(
    ("busy", "waiting", "given", "wanted", "expected"),
    [
        (0.7, 0, 0, 1, 1),  # as many are busy as should be
        (0.71, 0, 0, 1, 2),  # above the target: one more
        (3.0, 0, 0, 3, 5),  # all busy: so many that 70 percent of them would be
        (1.0, 50, 50, 1, 3),  # what waits would keep one more busy for a refresh
        (1.0, 3, 0, 1, 6),  # none was taken within a refresh: each that waits is one more
        (1.0, 1000, 10, 1, 10),  # never more than the most
        (0.0, 0, 0, 4, 4),  # fewer: not before it has been calm
    ],
)
def test_how_many_are_needed(busy: float, waiting: float, given: int, wanted: int, expected: int) -> None:
    assert decide(busy, waiting=waiting, given=given, wanted=wanted) == expected


def test_fewer_after_a_calm_time_and_no_fewer_than_were_needed_in_it() -> None:
    decision = Decision(Autoscale(min_workers=2, calm_s=60), now=0.0)

    def at(now: float, busy: float, *, ready: int = 8) -> int:
        return decision.workers(Load(busy=busy, waiting=0, given=0), wanted=8, ready=ready, now=now)

    assert [at(now, 1.0) for now in (1, 30)] == [8, 8]
    assert at(59, 2.8) == 8, "it has not been calm for a minute"
    assert at(61, 1.0) == 4, "four were needed within the last minute"
    assert at(120, 0.0) == 2, "no fewer than the least"
    assert at(121, 0.0, ready=7) == 8, "while one still starts nobody can tell"
    assert at(130, 0.0) == 8


def test_bounds_that_cannot_be(services: Services) -> None:
    service = services.start()
    before = service.settings
    for autoscale, named in (
        (Autoscale(min_workers=0), "min_workers must be at least 1"),
        (Autoscale(min_workers=3, max_workers=2), "max_workers must be at least autoscale.min_workers, which is 3"),
        (Autoscale(max_workers=1001), "max_workers must be at most 1000, not 1001"),
        (Autoscale(target_utilization=0), "target_utilization must be above 0"),
        (Autoscale(refresh_s=0), "refresh_s must be above 0"),
        (Autoscale(calm_s=-1), "calm_s"),
    ):
        with pytest.raises(RequestRefused, match=named):
            service.control.configure(autoscale=autoscale)
    with pytest.raises(RequestRefused, match="workers must be at least 1, not 0"):
        service.control.configure(workers=0)
    with pytest.raises(RequestRefused, match="workers must be at most 1000, not 1000000"):
        service.control.scale(1, workers=1000000)
    assert service.settings == before
    assert service.score("x").status == 200


# --- looking at a pool ------------------------------------------------------------------------------------------------


class Clock:
    """An event loop, as far as something is called later; its time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> SimpleNamespace:
        entry = (self.now + delay_s, callback)
        self.due.append(entry)
        return SimpleNamespace(cancel=lambda: self.due.remove(entry))

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self.due and self.due[0][0] <= until:
            self.now, callback = self.due.pop(0)
            callback()
        self.now = until


class Seen:
    """A pool, as an autoscaler sees it."""

    wanted = ready_count = 1
    busy_count = waiting_count = given = 0
    is_closing = False

    def resize(self, wanted: int) -> None:
        self.wanted = self.ready_count = wanted


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(pool: Seen, clock: Clock, log: Path) -> Autoscaler:
    """A decision each second; the tenth of one more is for sums of tenths."""
    return Autoscaler(pool, Autoscale(refresh_s=1.0), loop=cast(Any, clock), journal=Journal(log))


def test_what_waits_is_worked_off_as_fast_as_lately(clock: Clock, tmp_path: Path) -> None:
    pool = Seen()
    pool.busy_count, pool.waiting_count, pool.given = 1, 3, 1_000_000
    watch(pool, clock, tmp_path / "log")
    clock.pass_by(1.2)
    assert pool.wanted == 6, "none was taken in this second, however many were before it"
    assert "workers wanted: 6 instead of 1; 1.0 of 1 were busy, 3.0 requests waited" in (tmp_path / "log").read_text()


def test_each_decision_is_about_what_came_since_the_last_one(clock: Clock, tmp_path: Path) -> None:
    pool = Seen()
    watch(pool, clock, tmp_path / "log")
    clock.pass_by(1.2)
    assert pool.wanted == 1
    pool.busy_count = 1
    clock.pass_by(2.2)
    assert pool.wanted == 2, "busy throughout, after a time without requests"


def test_nothing_is_decided_by_a_time_in_which_no_worker_was_ready(clock: Clock, tmp_path: Path) -> None:
    pool = Seen()
    pool.ready_count, pool.waiting_count = 0, 50
    watch(pool, clock, tmp_path / "log")
    clock.pass_by(3.0)
    pool.ready_count = 1
    clock.pass_by(0.8)
    assert pool.wanted == 1
    clock.pass_by(0.5)
    assert pool.wanted == 10


@pytest.mark.parametrize("how", ["stopped", "closing"])
def test_a_pool_that_goes_is_looked_at_no_more(clock: Clock, tmp_path: Path, how: str) -> None:
    pool = Seen()
    autoscaler = watch(pool, clock, tmp_path / "log")
    clock.pass_by(0.5)
    pool.busy_count = 1
    if how == "stopped":
        autoscaler.stop()
    else:
        pool.is_closing = True
    clock.pass_by(3.0)
    assert clock.due == []
    assert pool.wanted == 1


def test_no_two_look_at_one_pool(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looked by the settings before would undo what those of now say."""
    bundle = str(write_bundle(tmp_path / "bundle", ECHO))
    first = RevisionSettings(number=1, bundle=bundle, interpreter=["python"])
    settings = ServiceSettings(name="demo", workspace="tests", revision=first, autoscale=Autoscale())
    made: list[Autoscaler] = []

    def look(_: object, autoscale: Autoscale, *, loop: object, journal: Journal) -> Autoscaler:
        made.append(Autoscaler(Seen(), autoscale, loop=cast(Any, clock), journal=journal))
        return made[-1]

    async def looking_after_each_change() -> list[int]:
        telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
        loop = asyncio.get_running_loop()
        running = await revision.prepare(settings, folder=tmp_path, loop=loop, telemetry=telemetry, share=WHOLE)
        monkeypatch.setattr(running, "pool", AsyncMock(resize=Mock(), wanted=1))
        await running.start()
        looking = [len(clock.due)]
        for autoscale in (Autoscale(max_workers=2), None):
            running.settings_changed(msgspec.structs.replace(settings, autoscale=autoscale), first)
            looking.append(len(clock.due))
        await running.leave_folder()
        return looking

    monkeypatch.setattr(revision, "Autoscaler", look)
    assert (asyncio.run(looking_after_each_change()), len(made)) == ([1, 1, 0], 2)


# --- by configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WorkerStart)
def test_no_request_fails_while_workers_come_and_go(services: Services, tmp_path: Path, how: WorkerStart) -> None:
    service = start(services, tmp_path, worker_start=how)
    with load(service, clients=6) as seen:
        for wanted in (3, 1, 4, 2):
            service.control.configure(workers=wanted)
            wait_until(lambda wanted=wanted: all_ready(service) == wanted, what=f"{wanted}")  # type: ignore[misc]
    assert statuses(seen) == {200}
    status = service.status
    assert (len(status.workers), status.workers_wanted, status.state) == (2, 2, ServiceState.RUNNING)
    assert [worker.restarts for worker in status.workers] == [0, 0]
    assert service.settings.workers == 2
    assert "did not start" not in service.log
    inits = (tmp_path / "init").read_text()
    assert (inits == "x") is (how is WorkerStart.FORK), "a fork comes from the template, which has called init() once"


def test_a_worker_that_goes_finishes_what_it_holds(services: Services, gate: Gate, tmp_path: Path) -> None:
    script = SLEEPER.replace("time.sleep(float(data.split()[1]))", gate.wait)
    service = services.start(script, variables={"MARKS": str(tmp_path)}, workers=2)
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(service.score, f"sleep 1.{number}") for number in range(2)]
        wait_until(lambda: (tmp_path / "sleep 1.0").exists() and (tmp_path / "sleep 1.1").exists(), what="both run")
        service.control.configure(workers=1)
        assert sorted(worker.state for worker in service.status.workers) == ["ready", "stopping"]
        assert service.status.workers_wanted == 1
        gate.open()
        answers = [each.result() for each in held]
    assert [answer.status for answer in answers] == [200, 200]
    assert len({answer.json for answer in answers}) == 2
    wait_until(lambda: len(service.status.workers) == 1, what="one has gone")
    assert service.score("x").json == service.status.workers[0].pid


def test_a_worker_that_goes_is_still_bound_by_the_limits(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, workers=2, limits={"scoring_timeout_ms": 700, "scoring_grace_ms": 100})
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(service.score, f"sleep 60.{number}") for number in range(2)]
        wait_until(lambda: (tmp_path / "sleep 60.0").exists() and (tmp_path / "sleep 60.1").exists(), what="both run")
        service.control.configure(workers=1)
        assert [each.result().status for each in held] == [504, 504]
    wait_until(lambda: [w.state for w in service.status.workers] == ["ready"], what="the hung ones were ended")
    assert service.score("x").status == 200


def test_a_worker_that_hangs_and_holds_nothing_is_ended_when_it_is_to_go(services: Services) -> None:
    service = services.start(workers=2)
    wait_until(lambda: all(worker.state == "ready" for worker in service.status.workers), what="both are ready")
    pids = [worker.pid for worker in service.status.workers]
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    service.control.configure(workers=1)
    assert sorted(worker.state for worker in service.status.workers) == ["ready", "stopping"]
    wait_until(lambda: len(service.status.workers) == 1, what="it has been ended")
    stays = service.status.workers[0].pid
    assert stays in pids
    assert stays is not None
    os.kill(stays, signal.SIGCONT)
    assert service.score("x").json == "x"


def test_workers_that_are_still_starting_go_first(services: Services, tmp_path: Path) -> None:
    script = SLEEPER.replace(
        "def init():\n", 'def init():\n    time.sleep(0 if not os.path.exists(os.environ["MARKS"] + "/init") else 60)\n'
    )
    service = services.start(script, variables={"MARKS": str(tmp_path)})
    pid = service.status.workers[0].pid
    service.control.configure(workers=3)
    wait_until(lambda: len(service.status.workers) == 3, what="two more are starting")
    service.control.configure(workers=1)
    wait_until(lambda: len(service.status.workers) == 1, what="they have gone")
    assert service.status.workers[0].pid == pid
    assert service.status.failure is None
    assert "did not start" not in service.log


def test_a_hosted_revision_may_have_its_own_number(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, autoscale=msgspec.to_builtins(QUICK))
    variables = {"MARKS": str(tmp_path)}
    service.control.host(service.revision(2, SLEEPER, workers=2, environment_variables=variables))
    own = msgspec.structs.replace(QUICK, min_workers=3)
    service.control.host(service.revision(3, SLEEPER, autoscale=own, environment_variables=variables))
    assert [state_of(service, number).workers_wanted for number in (1, 2, 3)] == [1, 2, 3]
    service.control.configure(workers=2, autoscale=None)
    wait_until(lambda: ready(service) == 2, what="the service's number")
    assert [state_of(service, number).workers_wanted for number in (1, 2, 3)] == [2, 2, 3]


# --- by load ----------------------------------------------------------------------------------------------------------


@contextmanager
def trickle(service: RunningService) -> Iterator[Counter[Any]]:
    """A client now and then: too little for a second worker."""
    seen: Counter[Any] = Counter()
    with ThreadPoolExecutor(1) as pool:
        going = True

        def ask_now_and_then() -> None:
            while going:
                seen[service.score("x").status] += 1
                time.sleep(0.15)

        client = pool.submit(ask_now_and_then)
        try:
            yield seen
        finally:
            going = False
            client.result()


@pytest.mark.parametrize("how", WorkerStart)
def test_it_grows_under_load_and_shrinks_when_calm(services: Services, tmp_path: Path, how: WorkerStart) -> None:
    service = start(services, tmp_path, autoscale=msgspec.to_builtins(QUICK), worker_start=how)
    other = services.start()
    with load(other, clients=1) as seen_by_other:
        with load(service, clients=8) as seen:
            wait_until(lambda: ready(service) == 4, what="as many as may be")
            wait_until(lambda: gauges(service)["modelport_workers_wanted"] == 4, what="the metrics tell")
            assert service.status.workers_wanted == 4
        with trickle(service) as seen_when_calm:
            wait_until(
                lambda: gauges(service) == {"modelport_workers_ready": 1, "modelport_workers_wanted": 1}, what="calm"
            )
    assert statuses(seen) == {200}
    assert set(seen_when_calm) == {200}
    assert statuses(seen_by_other) == {200}
    wait_until(lambda: len(service.status.workers) == 1, what="the others have gone")
    assert "workers wanted: 4 instead of" in service.log
    assert "workers wanted: 1 instead of" in service.log
    assert service.settings.workers == 1


def test_a_hosted_revision_keeps_its_size_where_others_take_over(services: Services) -> None:
    service = services.start()
    patient = Autoscale(max_workers=4, calm_s=600)
    service.control.host(service.revision(2, ECHO, autoscale=patient))
    assert state_of(service, 2).workers_wanted == 1
    for autoscale in (Autoscale(min_workers=3), patient):
        service.control.scale(2, autoscale=autoscale)
    service.control.configure(worker_start=WorkerStart.FORK)
    assert state_of(service, 2).workers_wanted == 3, "others of the same revision"
    service.control.switch(service.revision(3, ECHO, autoscale=patient), replacing=2)
    assert state_of(service, 3).workers_wanted == 3, "one that gets its share"
    service.control.host(service.revision(4, ECHO, autoscale=patient))
    assert state_of(service, 4).workers_wanted == 1


def test_it_keeps_its_size_through_other_changes(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, autoscale=msgspec.to_builtins(msgspec.structs.replace(QUICK, calm_s=600)))
    with load(service, clients=8):
        wait_until(lambda: ready(service) == 4, what="it has grown")
    service.control.configure(limits=Limits(queue_wait_ms=20_000))
    assert service.status.workers_wanted == 4
    service.control.configure(autoscale=Autoscale(max_workers=3))
    assert service.status.workers_wanted == 3, "within the new bounds"
    service.control.configure(autoscale=None)
    wait_until(lambda: len(service.status.workers) == 1, what="as many as workers says")

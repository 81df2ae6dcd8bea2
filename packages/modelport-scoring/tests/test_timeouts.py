"""``run()`` that takes too long, and requests behind it, through a service's front door."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace

from modelport_scoring import Limits
from modelport_scoring.workers.timeouts import Timeouts
from modelport_scoring.workers.window import WEIGHT, WORK_AHEAD_MICROS
from modelport_worker.link import CAREFUL
from scoring_services import Answer, Gate, RunningService, Services, ask, session_members, stop, wait_until
from test_http import post, read_answers

SLEEPER = """
import os, time

def init():
    pass

def run(data):
    if data.startswith("sleep "):
        open(os.environ["MARKS"] + "/" + data, "a").write("x")
        time.sleep(float(data.split()[1]))
    return [data, os.getpid()]
"""

PIECES = """
def pieces(data):
    yield data
    yield str(os.getpid())
"""

COUNTED = re.compile(r'^modelport_requests_total{.*status="(\d+)"} (\S+)$', re.MULTILINE)

LONG_S = 60.0
"""Longer than any test takes: such a run() is ended from outside, or never."""


@contextmanager
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


def start(
    services: Services, folder: Path, *, script: str = SLEEPER, limits: Mapping[str, Any] | None = None, **more: Any
) -> RunningService:
    """A service that, when it is stopped, does not wait for a script that hangs."""
    limits = {"drain_timeout_s": 0.1, **(limits or {})}
    return services.start(script, variables={"MARKS": str(folder)}, limits=limits, **more)


def has_begun(folder: Path, body: str) -> None:
    wait_until((folder / body).exists, what=f"run() began with {body!r}")


def assert_timed_out(answer: Answer, limit_ms: int) -> None:
    assert answer.status == 504, answer
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert answer.headers["content-type"].startswith("application/json")
    assert f"Scoring timeout after {limit_ms} ms" in answer.message
    assert "scoring_timeout_ms" in answer.body.decode()


def open_the_window(service: RunningService) -> None:
    """Score until several requests are on their way to the worker at once: once its calls are short on the average,
    which a machine that has other things to do delays."""
    mean_ms = WORK_AHEAD_MICROS / 1000

    def is_open() -> bool:
        nonlocal mean_ms
        mean_ms += WEIGHT * (float(service.score("hello").headers["x-ms-run-fn-exec-ms"]) - mean_ms)
        return mean_ms * 4 < WORK_AHEAD_MICROS / 1000

    wait_until(is_open, what="room for four requests at the worker")


def test_the_worker_is_replaced_and_requests_behind_are_not_lost(services: Services, tmp_path: Path) -> None:
    """Those behind wait longer than ``queue_wait_ms``, but with the worker, not for one."""
    limits = {"scoring_timeout_ms": 1000, "scoring_grace_ms": 300, "queue_wait_ms": 900}
    service = start(services, tmp_path, limits=limits)
    pid = service.score("hello").json[1]
    open_the_window(service)
    with clients() as pool:
        hung = pool.submit(service.score, f"sleep {LONG_S}")
        has_begun(tmp_path, f"sleep {LONG_S}")
        behind = [pool.submit(service.score, f"behind {number}") for number in range(3)]
        assert_timed_out(hung.result(), 1000)
        answers = [future.result() for future in behind]
    assert [answer.status for answer in answers] == [200] * 3, answers
    assert [answer.json[0] for answer in answers] == [f"behind {number}" for number in range(3)]
    assert pid not in {answer.json[1] for answer in answers}
    assert f"worker {pid} is ended: run() did not end within 1300 ms" in service.log
    assert service.log.count("a request was given up: run() took too long (limits.scoring_timeout_ms)") == 1
    assert (tmp_path / f"sleep {LONG_S}").read_text() == "x", "a request that has its answer was tried again"


def test_what_is_answered_behind_a_worker_that_hangs_is_in_time(services: Services, tmp_path: Path) -> None:
    """The worker has the answer of the first still, since it was about to send that with the next one."""
    service = start(services, tmp_path, limits={"scoring_timeout_ms": 500, "scoring_grace_ms": 200})
    connection = service.connect()
    for _ in range(CAREFUL + 1):
        ask(connection, "POST", "/score", body="quick")
    open_the_window(service)
    hangs = f"sleep {LONG_S}".encode()
    sent = post(b"quick") + post(hangs) + post(b"behind", headers=b"Connection: close\r\n")
    statuses = [status for status, _ in read_answers(service.raw(sent))]
    assert statuses[1:] == [504, 200]
    assert statuses[0] in (200, 504)


def test_who_ends_within_the_grace_stays(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, limits={"scoring_timeout_ms": 300, "scoring_grace_ms": 60_000})
    pid = service.score("hello").json[1]
    assert_timed_out(service.score("sleep 0.6"), 300)
    assert service.score("hello").json[1] == pid
    assert service.status.workers[0].restarts == 0


def test_a_body_that_begins_once_its_request_has_timed_out_is_for_nobody(services: Services, tmp_path: Path) -> None:
    script = SLEEPER.replace("return [data, os.getpid()]", "return pieces(data)") + PIECES
    service = start(services, tmp_path, script=script, limits={"scoring_timeout_ms": 300, "scoring_grace_ms": 60_000})
    connection = service.connect()
    before = ask(connection, "POST", "/score", body="hello")
    assert_timed_out(ask(connection, "POST", "/score", body="sleep 0.6"), 300)
    assert ask(connection, "POST", "/score", body="hello").body == before.body, "the worker is another one"
    counted = COUNTED.findall(service.ask("GET", "/metrics").body.decode())
    assert sorted(counted) == [("200", "2.0"), ("504", "1.0")]


def test_a_clock_starts_when_a_request_is_the_first(services: Services, tmp_path: Path) -> None:
    """Six that take less than the timeout each, and far more together."""
    service = start(services, tmp_path, limits={"scoring_timeout_ms": 1200})
    with clients() as pool:
        answers = list(pool.map(service.score, ["sleep 0.3"] * 6))
    assert [answer.status for answer in answers] == [200] * 6


def test_a_worker_hangs_and_the_others_go_on(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, workers=2, limits={"scoring_timeout_ms": 1500, "scoring_grace_ms": 60_000})
    with clients() as pool:
        hung = pool.submit(service.score, f"sleep {LONG_S}")
        has_begun(tmp_path, f"sleep {LONG_S}")
        answers = [service.score(f"{number}") for number in range(20)]
        assert_timed_out(hung.result(), 1500)
    assert [answer.status for answer in answers] == [200] * 20
    assert len({answer.json[1] for answer in answers}) == 1


def test_a_pause_of_all_processes_is_no_workers_fault(services: Services, tmp_path: Path, gate: Gate) -> None:
    """As of a container that is paused: CLOCK_MONOTONIC goes on, and nothing else does."""
    script = SLEEPER.replace("time.sleep(float(data.split()[1]))", gate.wait)
    limits = {"scoring_timeout_ms": 5000, "scoring_grace_ms": 100}
    service = start(services, tmp_path, script=script, limits=limits)
    assert service.process is not None
    with clients() as pool:
        held = pool.submit(service.score, "sleep here")
        has_begun(tmp_path, "sleep here")
        paused = session_members(service.process.pid)
        for pid in paused:
            wait_until(lambda: stop(pid) == "T", what="it is stopped")  # noqa: B023
        time.sleep(7)  # longer than run() may take
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
        gate.open()
        assert held.result().status == 200
    assert service.status.workers[0].restarts == 0


def test_a_changed_timeout_holds_for_what_runs_already(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path)
    with clients() as pool:
        hung = pool.submit(service.score, f"sleep {LONG_S}")
        has_begun(tmp_path, f"sleep {LONG_S}")
        configure(service, scoring_timeout_ms=200, scoring_grace_ms=50)
        assert_timed_out(hung.result(), 200)
    assert service.score("hello").status == 200


def test_a_changed_timeout_holds_for_the_next_request(services: Services, tmp_path: Path) -> None:
    """Though a request has set the timer by the old one."""
    service = start(services, tmp_path)
    service.score("hello")
    configure(service, scoring_timeout_ms=200, scoring_grace_ms=50)
    assert_timed_out(service.score(f"sleep {LONG_S}"), 200)
    wait_until(lambda: service.status.workers[0].restarts == 1, what="the worker is replaced")
    configure(service, scoring_timeout_ms=60_000)
    assert service.score("sleep 0.5").status == 200


def configure(service: RunningService, **limits: int) -> None:
    service.control.configure(limits=replace(service.settings.limits, **limits))


def test_waiting_is_bounded_by_itself(services: Services, gate: Gate, tmp_path: Path) -> None:
    script = f"import os, time\ndef init(): pass\ndef run(data):\n    {gate.wait}\n    return data\n"
    service = start(services, tmp_path, script=script, limits={"queue_wait_ms": 60_000})
    with clients() as pool:
        running = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        waiting = [pool.submit(service.score, "behind") for _ in range(3)]
        wait_until(lambda: service.status.requests_waiting == 3, what="three requests wait")
        configure(service, queue_wait_ms=100)
        answers = [future.result() for future in waiting]
        gate.open()
        assert running.result().status == 200
    assert [answer.status for answer in answers] == [503] * 3
    for answer in answers:
        assert "queue_wait_ms" in answer.body.decode()
        assert int(answer.headers["retry-after"]) >= 1


def test_the_requests_that_workers_hold_are_bounded(services: Services, tmp_path: Path) -> None:
    service = start(services, tmp_path, workers=2, limits={"max_concurrent_requests": 1})
    with clients() as pool:
        running = pool.submit(service.score, f"sleep {LONG_S}")
        has_begun(tmp_path, f"sleep {LONG_S}")
        waiting = pool.submit(service.score, "hello")
        wait_until(lambda: service.status.requests_waiting == 1, what="the second request waits")
        assert service.status.requests_in_flight == 1
        configure(service, max_concurrent_requests=2)
        assert waiting.result().status == 200
        configure(service, scoring_timeout_ms=100, scoring_grace_ms=50)
        assert running.result().status == 504


BATCHED = """
import os, time
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
def run(data):
    open(os.environ["MARKS"] + "/runs", "a").write(str(len(data)) + "\\n")
    if (data[:, 0] < 0).any():
        open(os.environ["MARKS"] + "/slow", "a").write("x")
        time.sleep(60)
    if (data[:, 0] == 0).any():
        open(os.environ["MARKS"] + "/holding", "w").write("x")
        while not os.path.exists(os.environ["MARKS"] + "/go"):
            time.sleep(0.01)
    return data.sum(axis=1).tolist()
"""


def test_only_the_slow_one_of_a_batch_times_out(services: Services, tmp_path: Path) -> None:
    limits = {"scoring_timeout_ms": 2000, "scoring_grace_ms": 200}
    service = start(services, tmp_path, script=BATCHED, limits=limits, batching={"max_requests": 16})
    answers = score_at_once(service, tmp_path, numbers=[1, 2, -3, 4, 5, 6])
    assert [answer.status for answer in answers] == [200, 200, 504, 200, 200, 200], answers
    assert_timed_out(answers[2], 2000)
    assert [answer.json for answer in answers if answer.status == 200] == [[number] for number in (1.0, 2.0, 4, 5, 6)]
    assert "6" in (tmp_path / "runs").read_text().split(), "they were not scored together"


def score_at_once(service: RunningService, folder: Path, *, numbers: Sequence[int]) -> list[Answer]:
    """Score one row for each number, all of which are with the worker before it begins with any."""

    def score(number: int) -> Answer:
        body = json.dumps({"data": [[number, 0]]})
        return service.score(body, headers={"Content-Type": "application/json"})

    with clients() as pool:
        first = pool.submit(score, 0)
        has_begun(folder, "holding")
        sent: list[Future[Answer]] = []
        for number in numbers:
            sent.append(pool.submit(score, number))
            count = len(sent) + 1
            wait_until(lambda n=count: requests_held(service) == n, what="the request arrived")  # type: ignore[misc]
        (folder / "go").touch()
        assert first.result().json == [0.0]
        return [future.result() for future in sent]


def requests_held(service: RunningService) -> int:
    status = service.status
    return status.requests_in_flight + status.requests_waiting


class Held:
    """A request that is overdue. Answered, it has its connection send the next one, which nobody watches yet."""

    settled = False

    def __init__(self, pool: Overdue) -> None:
        self._pool = pool

    def timed_out(self) -> None:
        assert self._pool.timeouts.timer is None, "a pool watches where nobody does"
        self._pool.timeouts.watch()


class Overdue:
    """A pool of one worker, which is that worker, and what is told of its requests."""

    limits = Limits(scoring_timeout_ms=500, scoring_grace_ms=5000)
    waits_for_client = scores_together = False
    in_flight = (None,)

    def __init__(self, loop: Any) -> None:
        self.head_since = time.monotonic() - 1.5
        self.timeouts = Timeouts(cast(Any, self), loop=loop)
        self.workers = (self,)
        self.replies = self
        self.overdue = [Held(self)]
        self.limit_log = SimpleNamespace(timed_out=lambda: None)


class Timers:
    """An event loop, as far as something is called later: nothing is, before the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.delay_s = 0.0
        """Of the last one."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timers:
        self.due.append(callback)
        self.delay_s = delay_s
        return self

    def cancel(self) -> None:
        self.due.pop()


class Unanswerable(Held):
    def timed_out(self) -> None:
        raise MemoryError("not a byte")

    def lost(self) -> None:
        """It gets a word at least."""


def test_an_answer_that_cannot_be_sent_ends_no_watch() -> None:
    """Nobody looked any more, and a worker that hung was there for ever."""
    said: list[str] = []

    async def look() -> None:
        handler = asyncio.get_running_loop().set_exception_handler
        handler(lambda _, context: said.append(f"{context['message']}: {context['exception']}"))
        timers = Timers()
        pool = Overdue(timers)
        pool.overdue = [Unanswerable(pool)]
        pool.timeouts.watch()
        timers.due.pop()()
        assert len(timers.due) == 1

    asyncio.run(look())
    assert said == ["that run() took too long could not be told: not a byte"]


def test_what_comes_for_what_is_overdue_is_watched_by_the_same_timer() -> None:
    timers = Timers()
    pool = Overdue(timers)
    pool.timeouts.watch()
    timers.due.pop()()
    assert len(timers.due) == 1, "each of several would go on, and begin others"
    assert timers.delay_s == 0.5, "what has come may run no longer than that"

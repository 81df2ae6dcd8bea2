"""What a worker says reaches each request, and a fault of ours on that way costs one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelport_scoring.http.exchange import Exchange, Nobody
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.logs.journal import Journal
from modelport_scoring.service import Service
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.settings.service import Limits, RevisionSettings, ServiceSettings
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from modelport_scoring.workers.arena import SMALLEST_BYTES, Arena
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.link import Link
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.page import SharedPage
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.replies import Replies
from modelport_scoring.workers.requeue import MOST_ATTEMPTS
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.worker import Worker as ServersWorker
from modelport_worker.frames import CANCELLED, CANCELLED_AT, CHUNK, LAST, MORE, REDONE, RESULT, RETURNED

LAUNCH = Launch(command=(), environment={}, cwd=Path("/"), log=Path("/dev/null"), start_timeout_s=1.0)


class Request(Ticket):
    """Raises where it is told ``fails_at``, and writes down what else it is told."""

    def __init__(self, number: int, *fails_at: str, body: bytes = b"") -> None:
        super().__init__(body)
        self.id = number
        self.told: list[str] = []
        self.together = 0
        self._fails_at = fails_at

    def _hear(self, what: str) -> None:
        if what in self._fails_at:
            raise RuntimeError(what)
        self.told.append(what)

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        self._hear("admit")
        return True

    def scored(self, *answer: Any) -> None:
        self.together = answer[-1]
        self._hear("scored")

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        self._hear("began")

    def stream_went_on(self, chunk: bytes) -> None:
        self._hear("went on")

    def stream_ended(self, *, broken: bool) -> None:
        self._hear("ended")

    def timed_out(self) -> None:
        self._hear("timed out")

    def lost(self) -> None:
        self._hear("lost")

    def refused(self, refusal: Refusal) -> None:
        self._hear("refused")


class Alone:
    """A pool that scores nothing together."""

    batch_size = BatchSize(1, journal=Journal(Path("/dev/null")))

    def batch_redone(self, reason: str) -> None: ...


class Observer:
    """Of a link that nobody uses, or a pool."""

    def worker_ready(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def tell(*requests: Request) -> tuple[list[str], int]:
    """Have a worker answer the first one piece by piece and the others at once: what the log says, and which body the
    worker was told to leave."""
    said: list[str] = []

    def write_down(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        said.append(f"{context['message']}: {context['exception']}")

    async def answer() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(write_down)
        page = SharedPage()
        try:
            link = Link(Observer(), loop=loop)
            replies = Replies(page, link, pool=Alone(), garbage_received=pytest.fail)
            replies.in_flight.extend(requests)
            replies.answer_received(1, RESULT, 200, MORE, 5, b"", b"")
            replies.answer_received(1, CHUNK, 200, 0, 5, b"", b"some")
            replies.answer_received(1, CHUNK, 200, LAST, 5, b"", b"more")
            for each in requests[1:]:
                replies.answer_received(each.id, RESULT, 200, RETURNED, 5, b"", b"1")
            assert not replies.in_flight
            return int(CANCELLED.unpack_from(page._memory, CANCELLED_AT)[0])
        finally:
            page.close()

    return said, asyncio.run(answer())


def test_a_body_in_pieces_reaches_its_request() -> None:
    first, second = Request(1), Request(2)
    assert tell(first, second) == ([], 0)
    assert (first.told, second.told) == (["began", "went on", "went on", "ended"], ["scored"])


@pytest.mark.parametrize("place, before", [("began", []), ("went on", ["began"])])
def test_a_body_that_cannot_be_sent_is_given_up_alone(place: str, before: list[str]) -> None:
    first, second = Request(1, place), Request(2)
    assert tell(first, second) == ([f"an answer could not be sent: {place}"], 1)
    assert (first.told, second.told) == ([*before, "lost"], ["scored"])


def test_an_end_that_cannot_be_sent_is_its_own_alone() -> None:
    first, second = Request(1, "ended"), Request(2)
    assert tell(first, second) == (["the end of an answer could not be sent: ended"], 0)
    assert second.told == ["scored"]


@pytest.mark.parametrize("place", ["began", "went on"])
def test_nor_does_a_request_that_cannot_be_told_of_it_cost_the_others(place: str) -> None:
    first, second, third = Request(1, place, "lost"), Request(2, "scored", "lost"), Request(3)
    said, _ = tell(first, second, third)
    assert said == [
        f"an answer could not be sent: {place}",
        "nor could that it was lost: lost",
        "an answer could not be sent: scored",
        "nor could that it was lost: lost",
    ]
    assert third.told == ["scored"]


class Worker:
    """Holds one request, which it never answers, nor begins with."""

    def __init__(self) -> None:
        self.in_flight: list[Ticket] = []
        self.replies = self

    def takes_more(self) -> bool:
        return not self.in_flight

    def send(self, ticket: Ticket, now: float) -> None:
        ticket.attempts += 1
        self.in_flight.append(ticket)

    def unanswered(self) -> tuple[list[Ticket], list[Ticket]]:
        held, self.in_flight = self.in_flight, []
        return [], held


def no_memory(*_: object) -> None:
    raise MemoryError("not a byte")


class Full(Worker):
    """Has no memory for the first request, which it may have taken a part of."""

    def __init__(self, *, is_held: bool) -> None:
        super().__init__()
        self.replaced = False
        self._is_held = is_held

    def takes_more(self) -> bool:
        return True

    def send(self, ticket: Ticket, now: float) -> None:
        if ticket.id == 1:
            if self._is_held:
                super().send(ticket, now)
            raise MemoryError("not a byte")
        super().send(ticket, now)

    def replace(self, reason: str) -> None:
        self.replaced = True


def faults_where_it_takes(worker: Worker, *requests: Request) -> list[str]:
    """What the log tells of faults of ours once the worker has come for requests that wait."""
    said: list[str] = []

    async def take() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(f"{context['message']}: {context['exception']}"))
        pool = Pool(LAUNCH, revision=1, size=1, limits=Limits(), loop=loop, observer=Observer())
        for request in requests:
            pool.submit(request)
        pool.worker_ready(cast(Any, worker), Contract(input="text"))

    asyncio.run(take())
    return said


def test_a_request_that_cannot_be_made_ready_costs_no_other_one() -> None:
    """Where there is no memory to read its body with, for one: it had no answer, and its worker was ended."""
    first, second = Request(1, "admit"), Request(2)
    worker = Worker()
    assert faults_where_it_takes(worker, first, second) == ["a request could not be made ready for a worker: admit"]
    assert (first.told, second.told) == (["lost"], ["admit"])
    assert worker.in_flight == [second]


@pytest.mark.parametrize("is_held", [False, True], ids=["before a byte of it", "on its way"])
def test_a_request_that_cannot_be_sent_costs_no_other_one(is_held: bool) -> None:
    """It stayed in flight: the answer to the next one was taken for its own, which was the end of their worker."""
    first, second = Request(1), Request(2)
    worker = Full(is_held=is_held)
    assert faults_where_it_takes(worker, first, second) == ["a request could not be sent to a worker: not a byte"]
    assert (first.told, first.settled, second.told) == (["admit", "lost"], True, ["admit"])
    assert worker.in_flight == ([first, second] if is_held else [second])
    assert worker.replaced == is_held, "what it got of that, nobody knows"


def test_a_body_for_which_there_is_no_memory_is_not_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send() -> None:
        page = SharedPage()
        process = SimpleNamespace(page=page, watch=lambda *_, **__: None)
        worker = ServersWorker(cast(Any, process), LAUNCH, loop=asyncio.get_running_loop(), pool=cast(Any, Alone()))
        monkeypatch.setattr(Arena, "put", no_memory)
        with pytest.raises(MemoryError):
            worker.send(Request(0, body=bytes(SMALLEST_BYTES)), 1.0)
        assert not worker.in_flight
        worker.send(second := Request(0), 2.0)
        assert list(worker.in_flight) == [second]
        page.close()

    asyncio.run(send())


def test_a_request_whose_workers_die_waits_anew_and_is_given_up_in_the_end() -> None:
    """The time that it spent with a worker is no waiting; and three workers are enough."""
    request = Request(1)

    async def die() -> None:
        loop = asyncio.get_running_loop()
        pool = Pool(LAUNCH, revision=1, size=1, limits=Limits(queue_wait_ms=1000), loop=loop, observer=Observer())
        pool.submit(request)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            worker = Worker()
            pool.worker_ready(cast(Any, worker), Contract(input="text"))
            assert worker.in_flight == [request]
            request.waiting_since = loop.time() - 100
            pool.worker_ended(cast(Any, worker))
            pool.line._expire()
            assert pool.waiting_count == (attempt < MOST_ATTEMPTS)

    asyncio.run(die())
    assert request.told == [*["admit"] * MOST_ATTEMPTS, "lost"]


def fail_at_the_end(*requests: Request, pool: Callable[[Pool], object]) -> list[str]:
    """What the log says where the requests wait in a pool without a worker, and that is done with it."""
    said: list[str] = []

    async def do() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(f"{context['message']}: {context['exception']}"))
        made = Pool(LAUNCH, revision=1, size=1, limits=Limits(), loop=loop, observer=Observer())
        for request in requests:
            made.submit(request)
        pool(made)

    asyncio.run(do())
    return said


def expire(pool: Pool) -> None:
    for ticket in pool.line._tickets:
        ticket.waiting_since -= 1000
    pool.line._expire()


@pytest.mark.parametrize("end", [expire, Pool.refuse_all])
def test_a_request_that_cannot_be_refused_costs_the_others_no_answer(end: Callable[[Pool], object]) -> None:
    first, second = Request(1, "refused"), Request(2)
    assert fail_at_the_end(first, second, pool=end) == ["a request could not be refused: refused"]
    assert (first.told, second.told) == (["lost"], ["refused"])


def test_a_request_that_cannot_be_told_that_it_is_lost_costs_the_others_nothing() -> None:
    """None of them was told, and what waited for the next worker was gone."""
    lost, other, gone, waits = Request(1, "lost"), Request(2), Request(3), Request(4)
    gone.client_has_gone = True
    replies = SimpleNamespace(unanswered=lambda: ([lost, other], [gone, waits]))

    def die(pool: Pool) -> None:
        pool.worker_ended(cast(Any, SimpleNamespace(replies=replies)))
        assert pool.line.clear() == [waits], "nobody is to score it for a client that has gone"

    assert fail_at_the_end(pool=die) == ["that a request was lost could not be told: lost"]
    assert other.told == ["lost"]


def held(*requests: Request, work: Callable[[Replies], None]) -> None:
    """Do that with the replies of a worker that holds the requests."""

    async def do() -> None:
        page = SharedPage()
        try:
            link = Link(Observer(), loop=asyncio.get_running_loop())
            replies = Replies(page, link, pool=Alone(), garbage_received=pytest.fail)
            replies.in_flight.extend(requests)
            work(replies)
        finally:
            page.close()

    asyncio.run(do())


def test_the_clock_begins_anew_where_each_is_scored_alone_after_all() -> None:
    def work(replies: Replies) -> None:
        replies.batch_received(2, 0, 5, b"")
        assert replies.head_since == 0.0
        replies._batch_left = replies._announced = 0
        replies.batch_received(2, REDONE, 0, b"it raised")
        assert replies.head_since > 0.0

    held(Request(1), Request(2), work=work)


def test_the_time_in_which_a_client_does_not_read_is_not_the_scripts() -> None:
    def work(replies: Replies) -> None:
        replies.answer_received(1, RESULT, 200, MORE, 5, b"", b"")
        replies.pause()
        replies.head_since = 1.0
        replies.resume()
        assert replies.head_since > 1.0
        replies.head_since = 1.0
        replies.resume()
        assert replies.head_since == 1.0, "it was not waited for"

    held(Request(1), work=work)


def test_how_many_were_scored_together_is_told_to_those_and_to_no_other() -> None:
    first, second, third = Request(1), Request(2), Request(3)

    def work(replies: Replies) -> None:
        replies.batch_received(2, 0, 5, b"")
        replies.answer_received(1, RESULT, 200, MORE, 5, b"", b"")
        replies.answer_received(1, CHUNK, 200, LAST, 5, b"", b"")
        for number in (2, 3):
            replies.answer_received(number, RESULT, 200, RETURNED, 5, b"", b"1")

    held(first, second, third, work=work)
    assert (second.together, third.together) == (2, 1)


class Source:
    """A worker that makes a body while that is sent."""

    def __init__(self) -> None:
        self.left: list[Ticket] = []

    def cancel(self, ticket: Ticket) -> None:
        self.left.append(ticket)


@pytest.mark.parametrize(
    ("ends", "is_left", "is_settled"),
    [(Scoring.client_gone, True, True), (Scoring.timed_out, True, False), (Scoring.lost, False, False)],
)
def test_a_body_that_ends_early_has_its_end_once(
    tmp_path: Path, ends: Callable[[Scoring], None], is_left: bool, is_settled: bool
) -> None:
    """Its worker may still be told to leave it, or die: then it must not get a second answer, a 502 in the metrics."""

    async def end() -> None:
        settings = ServiceSettings(
            name="demo", workspace="tests", revision=RevisionSettings(number=1, bundle="/", interpreter=["python"])
        )
        telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
        service = Service(settings, folder=tmp_path, loop=asyncio.get_running_loop(), telemetry=telemetry)
        head = Head(method=b"GET", target=b"/score", version="1.1", headers={})
        ticket = Scoring(exchange := Exchange(head, b"", Nobody()), service)
        source: Any = Source()
        exchange.response = Response(200, stream=BodyStream())
        ticket.source = source
        ends(ticket)
        assert (source.left, ticket.source, ticket.settled) == ([ticket] * is_left, None, is_settled)
        assert exchange.response.status == 200
        assert exchange.response.stream is not None and exchange.response.stream.broken is not is_settled

    asyncio.run(end())

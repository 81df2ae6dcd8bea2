"""What becomes of a request and its copy, without a service: an order of answers, and tickets that are told theirs."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from modelport_scoring import RevisionSettings, ServiceSettings, Traffic, WorkerStart
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.service import Service
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.settings.service import Limits, WorkerOptions
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described, Trace
from modelport_scoring.traffic.router import Marked, Router
from modelport_scoring.traffic.shadow import MOST_COPIED_BYTES, MOST_KEPT_BYTES, CopiableTicket, Shadow
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.queue import WaitingLine
from modelport_scoring.workers.ticket import Refusal, Ticket


class Told(CopiableTicket):
    """A ticket whose answer the test gives."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.body)
        self.exchange = exchange
        exchange.work = self

    def copied_to(self, exchange: Exchange, *, posing_as: int) -> Told:
        return Told(exchange)

    def answer(self, body: bytes, *, revision: int, status: int = 200, stream: BodyStream | None = None) -> None:
        self.revision = revision
        self.exchange.answer(Response(status, body=body, stream=stream))

    def refused(self, refusal: Refusal) -> None:
        self.declined = True
        self.exchange.answer(Response(503))

    def client_gone(self) -> None:
        self.settled = True

    def client_ended(self) -> bool:
        return True

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        raise NotImplementedError

    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        raise NotImplementedError

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        raise NotImplementedError

    def stream_went_on(self, chunk: bytes) -> None:
        raise NotImplementedError

    def stream_ended(self, *, broken: bool) -> None:
        raise NotImplementedError

    def timed_out(self) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        raise NotImplementedError


class Sent:
    """Where answers go."""

    address = b"192.0.2.1"

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def answered(self, exchange: Exchange) -> None:
        assert exchange.response is not None
        self.bodies.append(exchange.response.lines + exchange.response.body)

    def streamed(self, exchange: Exchange) -> None: ...


class Desk:
    """A shadow, the copies that it has sent off, and what it has counted."""

    def __init__(self, **traffic: float) -> None:
        self.counts: Counter[str] = Counter()
        self.copies: list[Ticket] = []
        wanted = Traffic(shadow=2, **traffic)  # type: ignore[arg-type]
        self.shadow = Shadow(wanted, revision=2, counts=self, submit=lambda ticket, _: self.copies.append(ticket))
        self.sent = Sent()

    def shadow_compared(self, revision: int, *, equal: bool) -> None:
        self.counts["equal" if equal else "different"] += 1

    def shadow_dropped(self, revision: int) -> None:
        self.counts["dropped"] += 1

    def request(self, body: bytes = b"x", *, refused: bool = False) -> tuple[Told, Told | None]:
        """A request and its copy, as the router treats them."""
        exchange = Exchange(Head(method=b"POST", target=b"/", version="1.1", headers={}), body, self.sent)
        ticket = Told(exchange)
        mark = exchange.order = Marked(exchange.order, ticket)
        mark.comparison = self.shadow.copy(ticket, exchange, posing_as=1)
        if refused:
            ticket.refused(Refusal.QUEUE_LENGTH)
        if mark.comparison is None:
            return ticket, None
        before = len(self.copies)
        self.shadow.send(mark.comparison, exchange)
        copy = self.copies[-1] if len(self.copies) > before else None
        assert copy is None or isinstance(copy, Told)
        return ticket, copy


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("copy_first", [True, False])
@pytest.mark.parametrize(
    ("body", "status", "what"), [(b"[1.0]", 200, "equal"), (b"[2]", 200, "different"), (b"[1]", 201, "different")]
)
def test_the_order_of_the_answers_does_not_matter(copy_first: bool, body: bytes, status: int, what: str) -> None:
    desk = Desk()
    ticket, copy = desk.request()
    assert copy is not None
    assert copy.exchange.order.address == ticket.exchange.order.address == b"192.0.2.1"
    if copy_first:
        copy.answer(body, revision=2, status=status)
        ticket.answer(b"[1]", revision=1)
    else:
        ticket.answer(b"[1]", revision=1)
        copy.answer(body, revision=2, status=status)
    assert desk.counts == {what: 1}
    assert desk.sent.bodies == [b"modelport-revision: 1\r\n[1]"]


def test_what_cannot_be_compared_is_counted_as_dropped() -> None:
    desk = Desk()
    ticket, copy = desk.request()
    assert copy is not None
    copy.refused(Refusal.NO_WORKER)
    ticket.answer(b"1", revision=1)
    ticket, copy = desk.request()
    assert copy is not None
    copy.answer(b"1", revision=2)
    ticket.refused(Refusal.QUEUE_WAIT)
    for body, stream in ((bytes(MOST_KEPT_BYTES + 1), None), (b"", BodyStream())):
        ticket, copy = desk.request()
        assert copy is not None
        ticket.answer(body, revision=1, stream=stream)
        copy.answer(body, revision=2, stream=stream)
        assert copy.settled is (stream is not None)
    assert desk.counts == {"dropped": 4}


def test_a_request_that_is_refused_at_once_is_not_copied() -> None:
    desk = Desk(shadow_copies=1)
    assert desk.request(refused=True)[1] is None
    assert (desk.counts, desk.copies, desk.sent.bodies) == ({"dropped": 1}, [], [b""])
    assert desk.request()[1] is not None, "there is room for the next copy"


def test_copies_are_bounded_in_number_and_in_bytes_until_they_are_answered() -> None:
    desk = Desk(shadow_copies=2)
    copies = [desk.request()[1] for _ in range(3)]
    assert [copy is None for copy in copies] == [False, False, True]
    assert copies[0] is not None
    copies[0].answer(b"1", revision=2)
    assert desk.request()[1] is not None
    large = Desk()
    copies = [large.request(bytes(size))[1] for size in (40 << 20, 1, 40 << 20)]
    assert [copy is None for copy in copies] == [False, False, True]
    assert copies[0] is not None
    copies[0].answer(b"1", revision=2)
    assert large.request(bytes(40 << 20))[1] is not None, "the room of the first one has come back"
    assert Desk().request(bytes(MOST_COPIED_BYTES + 1))[1] is not None, "one that is alone"


def test_a_client_that_has_gone_leaves_nothing_to_compare() -> None:
    desk = Desk(shadow_copies=1)
    _, copy = desk.request()
    assert copy is not None
    copy.answer(b"1", revision=2)
    assert not desk.counts
    assert desk.request()[1] is not None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("refused", [True, False])
def test_nothing_is_left_for_the_collector(refused: bool) -> None:
    desk = Desk()
    ticket, copy = desk.request(refused=refused)
    left = [weakref.ref(ticket)]
    if copy is not None:
        left.append(weakref.ref(copy))
        ticket.answer(b"1", revision=1)
        copy.answer(b"1", revision=2)
    desk.copies.clear()
    del ticket, copy
    assert [found() for found in left] == [None] * len(left)


@pytest.mark.usefixtures("no_collector")
def test_a_client_that_leaves_the_queue_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    async def left() -> list[object]:
        loop, telemetry = asyncio.get_running_loop(), Telemetry(TelemetrySettings(), service=Described("demo"))
        revision = RevisionSettings(number=1, bundle="/", interpreter=["python"])
        settings = ServiceSettings(name="demo", workspace="tests", revision=revision)
        line, sent = WaitingLine(limits=Limits(), loop=loop), Sent()
        router = Router(
            Traffic(),
            default=1,
            others={},
            submit_to_default=line.put,
            submit_to_other=lambda ticket, _: line.put(ticket),
            counts=Desk(),
        )
        exchange = Exchange(Head(method=b"POST", target=b"/score", version="1.1", headers={}), b"x", sent)
        ticket = Scoring(exchange, Service(settings, folder=tmp_path, loop=loop, telemetry=telemetry))
        router.submit(ticket, exchange)
        kept: list[weakref.ref[Scoring] | weakref.ref[Sent]] = [weakref.ref(ticket), weakref.ref(sent)]
        ticket.client_gone()
        exchange.work = None  # as the connection does that ends
        line.clear()
        del ticket, exchange, sent
        return [found() for found in kept]

    assert asyncio.run(left()) == [None, None]


def test_who_waits_for_a_revision_is_told_where_it_is_taken_away_before_it_is_there(tmp_path: Path) -> None:
    """By another process of the service, while this one starts."""

    async def answer() -> Response | None:
        loop, telemetry = asyncio.get_running_loop(), Telemetry(TelemetrySettings(), service=Described("demo"))
        first, second = (RevisionSettings(number=number, bundle="/", interpreter=["python"]) for number in (1, 2))
        traffic = Traffic(version_header="x-version")
        settings = ServiceSettings(name="demo", workspace="tests", revision=first, traffic=traffic)
        service = Service(
            msgspec.structs.replace(settings, others=[second]), folder=tmp_path, loop=loop, telemetry=telemetry
        )
        head = Head(method=b"POST", target=b"/score", version="1.1", headers={b"x-version": b"2"})
        exchange = Exchange(head, b"x", Sent())
        service.submit(Scoring(exchange, service), exchange)
        assert exchange.response is None, "it waits"
        service.adopt(settings)
        return exchange.response

    response = asyncio.run(answer())
    assert response is not None and response.status == 404
    assert b"There is no such revision of service demo: x-version may be 1" in response.body


def test_who_comes_before_there_is_a_queue_waits_within_the_limits_of_the_moment_and_is_told_of_a_stop(
    tmp_path: Path,
) -> None:
    async def answers() -> list[Response | None]:
        loop, telemetry = asyncio.get_running_loop(), Telemetry(TelemetrySettings(), service=Described("demo"))
        revision = RevisionSettings(number=1, bundle="/", interpreter=["python"])
        settings = ServiceSettings(name="demo", workspace="tests", revision=revision)
        service = Service(settings, folder=tmp_path, loop=loop, telemetry=telemetry)
        service.adopt(msgspec.structs.replace(settings, limits=Limits(max_queue_length=1)))
        head = Head(method=b"POST", target=b"/score", version="1.1", headers={})
        exchanges = [Exchange(head, b"x", Sent()) for _ in range(2)]
        for exchange in exchanges:
            service.submit(Scoring(exchange, service), exchange)
        assert exchanges[0].response is None, "it waits"
        await service.stop(drain_timeout_s=0.0)
        return [exchange.response for exchange in exchanges]

    stopped, refused = asyncio.run(answers())
    assert stopped is not None and b"No ready replicas" in stopped.body
    assert refused is not None and b"max_queue_length" in refused.body


def test_who_came_before_a_queue_that_nobody_serves_is_refused_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    class Unlucky(Sent):
        """There is no memory to send an answer with."""

        def answered(self, exchange: Exchange) -> None:
            raise MemoryError

    async def answers() -> list[Response | None]:
        loop, telemetry = asyncio.get_running_loop(), Telemetry(TelemetrySettings(), service=Described("demo"))
        loop.set_exception_handler(lambda *_: None)
        revision = RevisionSettings(number=1, bundle="/", interpreter=["python"])
        settings = ServiceSettings(name="demo", workspace="tests", revision=revision)
        service = Service(settings, folder=tmp_path, loop=loop, telemetry=telemetry)
        head = Head(method=b"POST", target=b"/score", version="1.1", headers={})
        exchanges = [Exchange(head, b"x", sent) for sent in (Unlucky(), Sent())]
        for exchange in exchanges:
            service.submit(Scoring(exchange, service), exchange)
        pool = object.__new__(Pool)
        pool.given_up, pool._revision = True, 1
        service.active = cast(Any, SimpleNamespace(pool=pool))
        service._go_on_with_early()
        return [exchange.response for exchange in exchanges]

    _, told = asyncio.run(answers())
    assert told is not None and b"No ready replicas" in told.body


def test_a_copy_is_for_its_revision_alone_and_does_not_wait_until_that_is_there(tmp_path: Path) -> None:
    async def copied() -> None:
        loop, telemetry = asyncio.get_running_loop(), Telemetry(TelemetrySettings(), service=Described("demo"))
        first, second = (RevisionSettings(number=number, bundle="/", interpreter=["python"]) for number in (1, 2))
        settings = ServiceSettings(
            name="demo", workspace="tests", revision=first, others=[second], traffic=Traffic(shadow=2)
        )
        service = Service(settings, folder=tmp_path, loop=loop, telemetry=telemetry)
        head = Head(method=b"POST", target=b"/score", version="1.1", headers={})
        exchange = Exchange(head, b"x", Sent())
        ticket = Scoring(exchange, service)
        ticket._trace = Trace(b"%032x" % 1, None, sampled=True, state=b"")
        copy = ticket.copied_to(Exchange(head, b"x", Sent()), posing_as=1)
        assert [(each.is_copy, each.tied) for each in (ticket, copy)] == [(False, False), (True, True)]
        assert copy._trace is None, "of one request there is one span"
        service.submit(ticket, exchange)
        assert service.gauges.queue_length() == 1, "the request, which may be answered by any"

    asyncio.run(copied())


def test_clients_that_come_and_go_do_not_fill_the_queue() -> None:
    """While the workers are busy, for longer than it takes to connect a hundred thousand times."""

    async def left() -> tuple[int, list[bytes]]:
        line = WaitingLine(limits=Limits(), loop=asyncio.get_running_loop())

        def come(body: bytes) -> Told:
            head = Head(method=b"POST", target=b"/score", version="1.1", headers={})
            ticket = Told(Exchange(head, body, Sent()))
            line.put(ticket)
            return ticket

        gone = []
        for number in range(1000):
            if number % 100 == 0:
                come(b"%d" % number)
            ticket = come(b"leaves")
            line.abandon(ticket)
            ticket.exchange.work = None  # as the connection does that ends
            gone.append(weakref.ref(ticket))
        del ticket
        alive = sum(found() is not None for found in gone)
        return alive, [bytes(ticket.payload) for ticket in line.clear()]

    alive, stayed = asyncio.run(left())
    assert alive < 100
    assert stayed == [b"%d" % number for number in range(0, 1000, 100)]


def test_a_revision_that_has_not_begun_is_not_ready() -> None:
    options = WorkerOptions(WorkerStart.SPAWN, warm_up=False, batching=None)
    hosted = Hosted(RevisionSettings(number=2, bundle="/", interpreter=["python"]), options=options)
    assert (hosted.is_ready, hosted.input, hosted.workers, hosted.failure) == (False, None, [], None)


@pytest.mark.parametrize("is_shadow", [True, False])
def test_a_copy_does_not_come_back_to_who_is_the_shadow_no_more(is_shadow: bool) -> None:
    """It was with a worker that has died; requests that somebody waits for come now."""

    async def dropped() -> tuple[int, int]:
        desk, line = Desk(), WaitingLine(limits=Limits(), loop=asyncio.get_running_loop())
        ticket, copy = desk.request()
        assert copy is not None
        copy.is_copy = True
        line.take_copies(is_shadow)
        line.put_back([copy])
        ticket.answer(b"1", revision=1)
        return desk.counts["dropped"], len(line)

    assert asyncio.run(dropped()) == ((0, 1) if is_shadow else (1, 0))

"""The connections of one server together: how many there may be, who is late, and how they end with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, cast

import pytest

from jumping_loop import JumpingLoop, run
from modelport_scoring.http import listener as listeners
from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.listener import (
    LEAST_ROOM,
    QUIET_S,
    SOONEST_SWEEP_S,
    SPARE_CONNECTIONS,
    STALLED_S,
    Listener,
    date_line,
)
from modelport_scoring.http.request import FOREVER
from modelport_scoring.settings.service import Limits
from modelport_scoring.settings.share import WHOLE, Share

SLACK_S = 3 * SOONEST_SWEEP_S
"""So much later than it is due, something is seen at most."""


@dataclass
class Answer:
    """What a client has got of what was written."""

    progress: int = 0
    is_whole: bool = False
    held_bytes = 0

    def __hash__(self) -> int:
        return id(self)


@dataclass(eq=False)
class Client:
    """A connection."""

    loop: asyncio.AbstractEventLoop
    limits: Limits = field(default_factory=Limits)
    deadline: float = FOREVER
    is_idle: bool = True
    in_request: bool = False
    answer: Answer | None = None
    ahead_bytes: int = 0
    late_at: list[float] = field(default_factory=list)
    is_closed: bool = False

    @property
    def delivery(self) -> Delivery | None:
        return cast(Delivery | None, self.answer)

    def overdue(self) -> None:
        self.late_at.append(self.loop.time())
        self.deadline = FOREVER

    def close(self) -> None:
        self.is_closed = True

    def reset(self) -> None:
        raise NotImplementedError


@dataclass
class Counts:
    opened: int = 0
    closed: int = 0

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self) -> None:
        self.closed += 1


def with_clients(listener: Listener, *clients: Client) -> None:
    for client in clients:
        assert listener.opened(client)


# --- how many ---------------------------------------------------------------------------------------------------------


def test_so_many_are_served_and_each_is_counted_once() -> None:
    async def test(loop: JumpingLoop) -> None:
        counts, limits = Counts(), Limits(max_connections=2)
        listener = Listener(loop, most_connections=100, counts=counts)
        clients = [Client(loop, limits) for _ in range(2 + SPARE_CONNECTIONS)]
        assert [listener.opened(client) for client in clients] == [True, True, *[False] * SPARE_CONNECTIONS]
        assert not listener.overcrowded(limits), "the last one is told why"
        listener.opened(Client(loop, limits))
        assert listener.overcrowded(limits)
        for client in clients[:2] * 2:
            listener.closed(client)
        assert (len(listener), listener.ended) == (SPARE_CONNECTIONS + 1, 2)
        assert (counts.opened, counts.closed) == (SPARE_CONNECTIONS + 3, 2)
        listener.close()

    assert run(test) == []


@pytest.mark.parametrize(
    ("allowed", "share", "most", "said"),
    [
        (100, WHOLE, 10, "limits.max_connections"),
        (100, Share(process=0, processes=5), 2, "limits.max_connections"),
        (1, WHOLE, 1, "lets this process have 1. To raise it, start the service with more open files allowed"),
    ],
)
def test_a_refusal_names_what_there_is_too_little_of(allowed: int, share: Share, most: int, said: str) -> None:
    async def test(loop: JumpingLoop) -> None:
        limits = Limits(max_connections=10)
        listener = Listener(loop, most_connections=allowed, share=share)
        assert listener.most(limits) == most
        refusal = listener.refusal(limits)
        assert refusal.status == 503
        text = bytes(refusal.body).decode()
        assert said in text
        assert ("10" in text) == ("max_connections" in said), "it is told as it stands in the settings"
        listener.close()

    run(test)


def test_who_shakes_hands_has_the_room_that_is_left() -> None:
    async def test(loop: JumpingLoop) -> None:
        limits = Limits(max_connections=LEAST_ROOM + 2)
        listener = Listener(loop, most_connections=1000)
        rooms = []
        for _ in range(4):
            rooms.append(listener.room(limits))
            with_clients(listener, Client(loop, limits))
        assert rooms == [LEAST_ROOM + 2, LEAST_ROOM + 1, LEAST_ROOM, LEAST_ROOM]
        listener.close()

    run(test)


def test_who_is_turned_away_is_one_line_in_ten_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    async def test(loop: JumpingLoop) -> None:
        limits = Limits(max_connections=1)
        listener = Listener(loop, most_connections=100)
        with_clients(listener, Client(loop, limits))
        for turned_away in (3, 2):
            for _ in range(turned_away):
                listener.opened(Client(loop, limits))
            await asyncio.sleep(QUIET_S / 2)
        assert told() == ["3 connections were turned away"]
        await asyncio.sleep(QUIET_S)
        assert told() == ["2 connections were turned away"]
        await asyncio.sleep(3 * QUIET_S)
        assert told() == []
        listener.close()

    def told() -> list[str]:
        return [line[line.index("]") + 2 :].partition(":")[0] for line in capfd.readouterr().err.splitlines()]

    run(test)


# --- who is late ------------------------------------------------------------------------------------------------------


def test_who_is_late_is_told_soon_and_by_the_second_sweep() -> None:
    async def test(loop: JumpingLoop) -> None:
        listener, now = Listener(loop, most_connections=10), loop.time()
        due = [now + 0.3, now + 0.95, now + 2.4]
        late = [Client(loop, deadline=deadline) for deadline in due]
        with_clients(listener, *late)
        await asyncio.sleep(5)
        for client, deadline in zip(late, due, strict=True):
            (told,) = client.late_at
            assert deadline + SOONEST_SWEEP_S <= told <= deadline + listeners.SWEEP_S + SLACK_S
        listener.close()

    run(test)


def test_a_deadline_that_is_known_at_a_sweep_is_seen_when_it_passes() -> None:
    async def test(loop: JumpingLoop) -> None:
        listener = Listener(loop, most_connections=10)
        client = Client(loop, deadline=loop.time() + 0.4)
        with_clients(listener, client)
        listener.sweep()
        await asyncio.sleep(0.4 + SLACK_S)
        assert len(client.late_at) == 1
        listener.close()

    run(test)


def test_what_has_come_meanwhile_is_not_late() -> None:
    """A process that was held up sees the deadline before it reads what came in time."""

    async def test(loop: JumpingLoop) -> None:
        listener = Listener(loop, most_connections=10)
        client = Client(loop, deadline=loop.time())
        with_clients(listener, client)
        listener.sweep()
        client.deadline = FOREVER  # it has been read
        await asyncio.sleep(5)
        assert client.late_at == []
        listener.close()

    run(test)


def test_a_fault_in_one_part_leaves_the_others_their_time() -> None:
    class Faulty(Client):
        def overdue(self) -> None:
            super().overdue()
            raise LookupError("a fault")

    async def test(loop: JumpingLoop) -> None:
        listener = Listener(loop, most_connections=10)
        with_clients(listener, *(Faulty(loop, deadline=loop.time()) for _ in range(2)))
        swept: list[float] = []

        def sweep() -> None:
            swept.append(loop.time())
            if len(swept) == 1:
                raise LookupError("another one")

        listener.sweep_with(sweep)
        await asyncio.sleep(5)
        assert len(swept) >= 5
        last = Client(loop, deadline=loop.time())
        with_clients(listener, last)
        await asyncio.sleep(2)
        assert len(last.late_at) == 1
        listener.close()

    assert sorted(str(each["exception"]) for each in run(test)) == ["a fault", "a fault", "another one"]


def test_the_clock_of_the_answers_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(loop: JumpingLoop) -> None:
        seconds = iter(range(100))
        monkeypatch.setattr(listeners, "date_line", lambda: b"%d" % next(seconds))
        listener = Listener(loop, most_connections=10)
        seen = [listener.date_line]
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(listener.date_line)
        assert seen == sorted(set(seen))
        listener.close()

    run(test)


@pytest.mark.parametrize("moment", [0.0, 951_782_400.0, 1_798_761_599.0])
def test_the_date_is_that_of_http(moment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    then = time.gmtime(moment)
    monkeypatch.setattr(time, "gmtime", lambda *_: then)
    assert date_line() == f"date: {formatdate(moment, usegmt=True)}\r\n".encode()


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_stop_ends_those_to_whom_nothing_is_owed() -> None:
    async def test(loop: JumpingLoop) -> None:
        listener = Listener(loop, most_connections=10)
        clients = [
            Client(loop),
            Client(loop, answer=Answer(is_whole=True)),
            Client(loop, answer=Answer(is_whole=False)),
            Client(loop, is_idle=False, answer=Answer(is_whole=True)),
        ]
        with_clients(listener, *clients)
        listener.stop()
        assert listener.stopping
        assert [client.is_closed for client in clients] == [True, True, False, False]
        listener.close()

    run(test)


@pytest.mark.parametrize(
    ("clients", "waited_s"),
    [([], 1.0), ([{}], 3.0), ([{}, {"is_idle": False}], 7.0)],
    ids=["none", "idle", "busy"],
)
def test_who_may_be_about_to_ask_is_waited_for(clients: list[dict[str, Any]], waited_s: float) -> None:
    async def test(loop: JumpingLoop) -> None:
        listener, began = Listener(loop, most_connections=10), loop.time()
        with_clients(listener, *(Client(loop, **each) for each in clients))
        await listener.linger(least_s=1.0, idle_s=3.0, most_s=7.0)
        assert listener.stopping, "each answer is the last one of its connection"
        assert waited_s - 0.01 <= loop.time() - began <= waited_s + SLACK_S
        listener.close()

    run(test)


def test_requests_that_have_begun_are_waited_for_until_all_are_whole_or_it_is_late() -> None:
    async def test(loop: JumpingLoop) -> None:
        listener, began = Listener(loop, most_connections=10), loop.time()
        one, other = Client(loop, in_request=True), Client(loop)
        with_clients(listener, one, other)
        await listener.received(until=began + 2)
        assert 1.99 <= loop.time() - began <= 2 + SLACK_S
        loop.call_later(1, setattr, one, "in_request", False)
        await listener.received(until=began + 60)
        assert 2.99 <= loop.time() - began <= 3 + SLACK_S
        listener.close()

    run(test)


@pytest.mark.parametrize(
    ("gets", "waited_s"),
    [("nothing", STALLED_S), ("all of it", 2.0), ("a little each second", 60.0), ("another one", STALLED_S)],
)
def test_answers_are_waited_for_as_long_as_somebody_takes_them(gets: str, waited_s: float) -> None:
    async def test(loop: JumpingLoop) -> None:
        listener, began = Listener(loop, most_connections=10), loop.time()
        slow, has_all, answer = Client(loop), Client(loop, answer=Answer(is_whole=True, progress=9)), Answer(progress=5)
        slow.answer = answer
        with_clients(listener, slow, has_all)

        def go_on() -> None:
            answer.progress += gets == "a little each second"
            answer.is_whole = gets == "all of it" and loop.time() > began + 1.5
            if gets == "another one" and loop.time() < began + 1.5:
                has_all.answer = Answer(progress=99)
            loop.call_later(1, go_on)

        loop.call_later(1, go_on)
        await listener.delivered(most_s=60)
        assert waited_s - 0.01 <= loop.time() - began <= waited_s + SLACK_S
        listener.close()

    run(test)

"""In which worker's memory a body arrives, and which worker gets it then."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from modelport_scoring.settings.service import Limits
from modelport_scoring.workers.arena import Arena, arriving_in
from modelport_scoring.workers.contract import ArrayParameter, Contract
from modelport_scoring.workers.large_bodies import LargeBodies
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.pool import Pool, PoolObserver
from modelport_scoring.workers.ticket import Ticket
from modelport_scoring.workers.worker import Worker

LAUNCH = Launch(command=(), environment={}, cwd=Path("/"), log=Path("/dev/null"), start_timeout_s=1.0)
SIZE = 100_000


class Ready:
    """A worker as far as it is chosen."""

    def __init__(self) -> None:
        self.arena = Arena(mmap.mmap(-1, 4 * 1024 * 1024), start=mmap.PAGESIZE)
        self.replies = SimpleNamespace(large_bodies=LargeBodies(self.arena))
        self.in_flight: list[Ticket] = []
        self.got: list[Ticket] = []
        self.is_full = False

    def takes_more(self) -> bool:
        return not self.is_full

    def send(self, ticket: Ticket, now: float) -> None:
        self.got.append(ticket)


class Nobody:
    def worker_ready(self) -> None: ...

    def worker_restarted(self) -> None: ...

    def batch_redone(self) -> None: ...


def with_pool(check: Callable[[Pool, list[Ready]], None], *, workers: int, contract: Contract) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        observer: PoolObserver = Nobody()
        pool = Pool(LAUNCH, revision=1, size=workers, limits=Limits(), loop=loop, observer=observer)
        ready = [Ready() for _ in range(workers)]
        for worker in ready:
            pool.worker_ready(cast(Worker, worker), contract)
        check(pool, ready)

    asyncio.run(run())


def request(body: memoryview) -> Ticket:
    """As far as it is given to a worker."""
    made = SimpleNamespace(payload=body, revision=0, away=None, admit=lambda contract, numbers: True)
    return cast(Ticket, made)


def holder(body: memoryview | None, ready: list[Ready]) -> int:
    """Which of the workers has it."""
    found = None if body is None else arriving_in(body)
    assert found is not None
    return [worker.arena for worker in ready].index(found.arena)


def test_the_worker_that_has_it_gets_it_unless_it_has_more_to_do() -> None:
    def check(pool: Pool, ready: list[Ready]) -> None:
        bodies = [pool.memory_for(SIZE) for _ in range(6)]
        assert [holder(body, ready) for body in bodies] == [0, 1, 2, 0, 1, 2], "each has its part"
        last, busy, full = bodies[2], bodies[1], bodies[0]
        assert last is not None and busy is not None and full is not None
        pool.submit(request(last))
        ready[1].in_flight.append(request(busy))
        pool.submit(request(busy))
        ready[0].is_full = True
        pool.submit(request(full))
        pool.submit(request(memoryview(bytes(SIZE))))
        assert [[arriving_in(each.payload) for each in worker.got] for worker in ready] == [
            [arriving_in(busy)],
            [],
            [arriving_in(last), arriving_in(full), None],
        ]

    with_pool(check, workers=3, contract=Contract(input="text"))


@pytest.mark.parametrize(("size", "is_placed"), [(SIZE, False), (4 * 1024 * 1024, False), (4 * 1024 * 1024 + 1, True)])
def test_what_is_read_here_arrives_here(size: int, is_placed: bool) -> None:
    array = ArrayParameter(name="data", type="<f8", row=[10])

    def check(pool: Pool, ready: list[Ready]) -> None:
        ready[0].arena = Arena(mmap.mmap(-1, 32 * 1024 * 1024), start=mmap.PAGESIZE)
        ready[0].replies.large_bodies = LargeBodies(ready[0].arena)
        assert (pool.memory_for(size) is not None) is is_placed

    with_pool(check, workers=1, contract=Contract(input="json", array=array))


def test_without_a_worker_it_may_be_anywhere() -> None:
    def check(pool: Pool, ready: list[Ready]) -> None:
        assert pool.memory_for(SIZE) is None

    with_pool(check, workers=0, contract=Contract(input="text"))

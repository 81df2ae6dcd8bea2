"""In which worker's memory a body arrives, and which worker gets it then: docs/adr/0014."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelport_scoring.workers.arena import Arriving, arriving_in
from modelport_scoring.workers.worker import Worker

Payload = bytes | bytearray | memoryview


def place(size: int, workers: Sequence[Worker]) -> memoryview | None:
    """Memory of the worker that has least to do, for a body of that size; None where it has none. There is a worker."""
    chosen = min(workers, key=lambda each: each.replies.large_bodies.arriving + len(each.in_flight))
    return chosen.replies.large_bodies.memory_for(size)


def choose(workers: Sequence[Worker], payload: Payload) -> Worker | None:
    """The worker that gets the next request, whose payload that is; None while none takes more."""
    free = None
    for worker in workers:
        if worker.takes_more() and (free is None or len(worker.in_flight) < len(free.in_flight)):
            free = worker
    if free is not None and (arriving := arriving_in(payload)) is not None:
        return nearest(arriving, workers, instead_of=free)
    return free


def nearest(arriving: Arriving, workers: Iterable[Worker], *, instead_of: Worker) -> Worker:
    """The worker in whose memory the body lies, where that has no more to do than the other one."""
    for worker in workers:
        if worker.replies.large_bodies.holds(arriving) and worker.takes_more():
            return worker if len(worker.in_flight) <= len(instead_of.in_flight) else instead_of
    return instead_of

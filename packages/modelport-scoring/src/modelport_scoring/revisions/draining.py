"""Revisions that get no new requests: they finish what they hold, and end; what waits for them may go on elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.revisions.revision import Revision
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.ticket_ends import refuse


class Owner(Protocol):
    """Who hosts revisions."""

    default: Hosted
    stopping: bool
    """Nobody goes on with anything."""

    @property
    def all(self) -> Sequence[Hosted]:
        """What is hosted at this moment."""


class Draining:
    """Those that are on their way out, by number; several of one number, where its workers were replaced."""

    def __init__(self, owner: Owner, *, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._ending: dict[int, dict[asyncio.Task[None], Revision]] = {}

    def retire(self, hosted: Hosted, *, successor: Hosted | None) -> None:
        """Have it finish what it holds and end. What waits for it waits for the successor then, where there is one."""
        revision = hosted.revision
        if revision is None:
            return
        if successor is not None:
            self.pass_on(revision.pool.hand_over(), revision, successor)
        self._begin(hosted.number, revision, revision.pool.limits.drain_timeout_s, successor=successor)

    async def discard(self, given_up: Iterable[Hosted]) -> None:
        """End what was never hosted, at once. Who brings up one of the same number waits for that: the working folder
        has the same name."""
        tasks = [self._begin(each.number, each.revision, 0) for each in given_up if each.revision is not None]
        await asyncio.gather(*(asyncio.shield(task) for task in tasks))

    def _begin(
        self, number: int, revision: Revision, timeout_s: float, *, successor: Hosted | None = None
    ) -> asyncio.Task[None]:
        task = self._loop.create_task(self.end(revision, timeout_s, successor=successor))
        ending = self._ending.setdefault(number, {})
        ending[task] = revision
        task.add_done_callback(lambda ended: ending.pop(ended, None))
        return task

    async def end(self, revision: Revision, timeout_s: float, *, successor: Hosted | None = None) -> None:
        """The same for a revision that is hosted no more, or was not yet; returns when it has ended, and its working
        folder is left."""
        untouched = await revision.pool.drain(timeout_s)
        for tied in (False, True):
            tickets = those(untouched, tied=tied)
            heir = None
            if not self._owner.stopping:
                heir = self._heir(revision, successor or self._owner.default, tied=tied)
            if heir is not None:
                heir.take_over(tickets)
            else:
                for ticket in tickets:
                    refuse(ticket, Refusal.NO_WORKER)
        await revision.leave_folder()  # last: to remove it may take long, and may fail, and clients wait for the rest

    def pass_on(self, waiting: list[Ticket], revision: Revision, successor: Hosted) -> None:
        """What waited for the revision waits for another one, but for what only this one may answer."""
        for tied in (False, True):
            heir = self._heir(revision, successor, tied=tied) or revision.pool
            heir.take_over(those(waiting, tied=tied))

    async def ended(self, number: int) -> None:
        """Wait until all of that number have ended."""
        await asyncio.gather(*(asyncio.shield(task) for task in self._ending.get(number, ())))

    async def all_ended(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*(task for tasks in self._ending.values() for task in tasks))

    def hurry(self) -> None:
        """What they hold is waited for no longer."""
        for tasks in self._ending.values():
            for revision in tasks.values():
                revision.pool.hurry()

    def _heir(self, revision: Revision, successor: Hosted, *, tied: bool) -> Pool | None:
        """Whose workers may answer in the place of the revision's."""
        if successor not in self._owner.all:  # perhaps it has other workers by now
            again = (hosted for hosted in self._owner.all if hosted.number == successor.number)
            successor = next(again, self._owner.default)
        if tied and successor.number != revision.number:
            return None
        heir = successor.revision
        return None if heir is None or heir is revision else heir.pool


def those(tickets: Iterable[Ticket], *, tied: bool) -> list[Ticket]:
    """The tickets that only their revision may answer, or the others."""
    return [ticket for ticket in tickets if ticket.tied is tied]

"""Requests that wait for a worker: first come, first served, within the limits of number, bytes and time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from modelport_scoring.settings.service import Limits
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.ticket_ends import refuse

MOST_ABANDONED = 64
"""Who leaves before its turn is taken out with others: when there are more of them than of those who stay, and than
so many. Clients that come and go at once would fill the memory else, while the workers are busy."""


class WaitingLine:
    """The queue of one revision, shared by its workers."""

    def __init__(
        self,
        *,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        room: Callable[[], int] = lambda: 0,
        note: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        """``room``: how many of those that wait, the first ones, count as taken by a worker; nothing expires for
        them. ``note`` is told of each that a limit refuses."""
        self.limits = limits
        self._room = room
        self._note = note
        self._loop = loop
        self._tickets: deque[Ticket] = deque()
        self._abandoned = 0
        self._bytes = 0
        self._takes_copies = True
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._tickets) - self._abandoned

    def has_any(self) -> bool:
        """Whether there may be somebody to serve first."""
        return bool(self._tickets)

    def change_limits(self, limits: Limits) -> None:
        """Other limits hold from now on, also for those who wait."""
        self.limits = limits
        if self._timer is not None:
            self._timer.cancel()
        self._expire()

    def put(self, ticket: Ticket) -> None:
        """Append the ticket, or refuse it where a limit is reached."""
        if len(self) >= self.limits.max_queue_length:
            self._refuse(ticket, Refusal.QUEUE_LENGTH)
        elif self._bytes and self._bytes + len(ticket.payload) > self.limits.max_queue_bytes:
            self._refuse(ticket, Refusal.QUEUE_BYTES)
        else:
            self._count(ticket)
            self._tickets.append(ticket)
            self._watch()

    def put_back(self, tickets: Iterable[Ticket]) -> None:
        """Put tickets that were taken out before at the head again, in their order, whatever the limits; copies only
        where they are taken still."""
        for ticket in reversed(list(tickets)):
            if ticket.is_copy and not self._takes_copies:
                refuse(ticket, Refusal.NO_WORKER)
                continue
            self._count(ticket)
            self._tickets.appendleft(ticket)
        self._watch()

    def take(self) -> Ticket | None:
        """The next ticket that somebody still waits for, or None."""
        while self._tickets:
            ticket = self._tickets.popleft()
            if self._uncount(ticket):
                return ticket
        return None

    def abandon(self, ticket: Ticket) -> None:
        """The client of a waiting ticket has gone: free its body now, and itself later."""
        if ticket.abandoned or ticket.line is not self:
            return
        ticket.abandoned = True
        self._bytes -= len(ticket.payload)
        ticket.payload = b""  # the ticket itself stays in the line, until its turn, or until many do
        self._abandoned += 1
        if self._abandoned > max(MOST_ABANDONED, len(self)):
            self._tickets = deque(each for each in self._tickets if not each.abandoned or self._uncount(each))

    def take_copies(self, are_taken: bool) -> None:
        """Whether copies of requests may wait here. Else those that do are refused, and those that come back, whose
        worker has died for one."""
        self._takes_copies = are_taken
        if not are_taken and any(ticket.is_copy for ticket in self._tickets):
            self.put_back(self.clear())

    def clear(self) -> list[Ticket]:
        """Take all that wait."""
        tickets = []
        while (ticket := self.take()) is not None:
            tickets.append(ticket)
        return tickets

    def _refuse(self, ticket: Ticket, refusal: Refusal) -> None:
        self._note(refusal)
        refuse(ticket, refusal)

    def _count(self, ticket: Ticket) -> None:
        ticket.line = self
        ticket.waiting_since = ticket.waiting_since or self._loop.time()
        self._bytes += len(ticket.payload)

    def _uncount(self, ticket: Ticket) -> bool:
        """A ticket has left the line; returns whether somebody still waits for it."""
        ticket.line = None
        if ticket.abandoned:
            self._abandoned -= 1
            return False
        self._bytes -= len(ticket.payload)
        return True

    def _watch(self) -> None:
        if self._timer is not None or not self._tickets:
            return
        room = self._room()
        if len(self) > room:
            wait_s = self.limits.queue_wait_ms / 1000
            # rarely the first: some were put back
            oldest = min(ticket.waiting_since for ticket in islice(self._tickets, max(room, 0), None))
            self._timer = self._loop.call_at(oldest + wait_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        oldest = self._loop.time() - self.limits.queue_wait_ms / 1000
        tickets, self._tickets = self._tickets, deque()
        expired, room = [], self._room()
        for ticket in tickets:
            if not ticket.abandoned and (len(self._tickets) < room or ticket.waiting_since > oldest):
                self._tickets.append(ticket)
            elif self._uncount(ticket):
                expired.append(ticket)
        for ticket in expired:
            self._refuse(ticket, Refusal.QUEUE_WAIT)
        self._watch()

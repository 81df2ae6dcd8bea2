"""Copies of requests for a revision that is being tried: scored like any other, compared, and never sent.

A copy never delays or fails the request that it is a copy of. It goes to its own revision's workers, after the request
went to its own; where there is no room for it, it is dropped.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.response import Response
from modelport_scoring.settings.traffic import Traffic
from modelport_scoring.traffic.comparison import same_body
from modelport_scoring.workers.ticket import Ticket

MOST_COPIED_BYTES = 64 * 1024 * 1024
"""Bodies of all copies that are held, together: they outlive the requests."""

MOST_KEPT_BYTES = 1024 * 1024
"""A longer answer is not kept for the comparison."""


class Counts(Protocol):
    """Who counts what became of copies: the service's telemetry."""

    def shadow_compared(self, revision: int, *, equal: bool) -> None: ...

    def shadow_dropped(self, revision: int) -> None: ...


class CopiableTicket(Ticket):
    """A ticket that can be given to two revisions."""

    __slots__ = ()

    @abstractmethod
    def copied_to(self, exchange: Exchange, *, posing_as: int) -> Ticket:
        """The same request, which no worker has yet, with its answer going to ``exchange``. Where that names its
        revision, it names ``posing_as``."""


class Shadow:
    """Copies for one revision, for one state of the settings."""

    def __init__(
        self, traffic: Traffic, *, revision: int, counts: Counts, submit: Callable[[Ticket, int], None]
    ) -> None:
        """``submit`` gives a ticket to the revision of that number."""
        self._revision = revision
        self._share = traffic.shadow_percent / 100
        self._most = traffic.shadow_copies
        self._tolerance = traffic.shadow_tolerance
        self._counts = counts
        self._submit = submit
        self._held = 0
        self._held_bytes = 0

    def copy(self, ticket: CopiableTicket, exchange: Exchange, *, posing_as: int) -> Comparison | None:
        """A copy of the request, which no worker has yet; None where this one is not to be copied, or cannot be."""
        if random.random() >= self._share:  # noqa: S311  (nothing is secret here)
            return None
        if self._held >= self._most or (self._held and self._held_bytes + len(exchange.body) > MOST_COPIED_BYTES):
            self._counts.shadow_dropped(self._revision)
            return None
        comparison = Comparison(self, ticket, address=exchange.order.address)
        twin = comparison.twin = Exchange(exchange.head, exchange.body, comparison)
        twin.request_id = exchange.request_id
        comparison.copy = ticket.copied_to(twin, posing_as=posing_as)
        self._held += 1
        self._held_bytes += len(exchange.body)
        return comparison

    def send(self, comparison: Comparison, exchange: Exchange) -> None:
        """Have the copy scored, unless the request was refused at once: where there are too many already."""
        assert comparison.copy is not None
        if exchange.response is None:
            self._submit(comparison.copy, self._revision)
        else:
            comparison.drop()
            self.release(len(exchange.body))
            self._counts.shadow_dropped(self._revision)

    def release(self, copied_bytes: int) -> None:
        """A copy is held no more."""
        self._held -= 1
        self._held_bytes -= copied_bytes

    def judge(self, real: Kept | None, copy: Kept | None) -> None:
        """Both have been answered; None: not in a way that could be compared."""
        if real is None or copy is None:
            self._counts.shadow_dropped(self._revision)
            return
        equal = real[0] == copy[0] and same_body(real[1], copy[1], tolerance=self._tolerance)
        self._counts.shadow_compared(self._revision, equal=equal)


Kept = tuple[int, bytes]
"""Status and body."""


class Comparison:
    """One request and its copy, until both are answered. To the copy it is what a connection is to a request."""

    __slots__ = ("_copy_answer", "_missing", "_real", "_real_answer", "_shadow", "address", "copy", "twin")

    def __init__(self, shadow: Shadow, real: Ticket, *, address: bytes) -> None:
        self.address = address
        self.copy: Ticket | None = None
        self.twin: Exchange | None = None
        """Where the copy's answer goes."""
        self._shadow = shadow
        self._real = real
        self._real_answer: Kept | None = None
        self._copy_answer: Kept | None = None
        self._missing = 2

    def real_answered(self, response: Response) -> None:
        """The request has been answered. If its client goes away before, this is never called, and nothing compared."""
        self._real_answer = keep(self._real, response)
        self._one_less()

    def answered(self, exchange: Exchange) -> None:
        assert self.copy is not None and exchange.response is not None
        self._shadow.release(len(exchange.body))
        self._copy_answer = keep(self.copy, exchange.response)
        if exchange.response.stream is not None and exchange.work is not None:
            exchange.work.client_gone()
        self.drop()
        self._one_less()

    def streamed(self, exchange: Exchange) -> None:
        pass

    def drop(self) -> None:
        """The copy is of no more use. It, its exchange and this would keep each other."""
        if self.twin is not None:
            self.twin.work = None
            self.twin.body = b""
        self.copy = self.twin = None

    def _one_less(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._shadow.judge(self._real_answer, self._copy_answer)


def keep(ticket: Ticket, response: Response) -> Kept | None:
    """What is compared of an answer; None where no worker took the ticket, or it is a stream, or too long."""
    if ticket.declined or not ticket.revision or response.stream is not None or len(response.body) > MOST_KEPT_BYTES:
        return None
    return response.status, bytes(response.body)

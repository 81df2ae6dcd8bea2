"""Requests to the revisions of a service that hosts several."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelport_scoring.http.exchange import AnswerOrder, Exchange
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.settings.traffic import Traffic
from modelport_scoring.states import ServiceState
from modelport_scoring.traffic.shadow import Comparison, CopiableTicket, Counts, Shadow
from modelport_scoring.traffic.split import Split
from modelport_scoring.workers.ticket import Refusal, Ticket

REVISION_LINE = b"modelport-revision: %d\r\n"


class Marked:
    """Stands between a request and its connection, and writes into the answer which revision gave it."""

    __slots__ = ("_order", "_ticket", "comparison")

    def __init__(self, order: AnswerOrder, ticket: Ticket) -> None:
        self._order = order
        self._ticket = ticket
        self.comparison: Comparison | None = None

    @property
    def address(self) -> bytes:
        return self._order.address

    def answered(self, exchange: Exchange) -> None:
        response = exchange.response
        assert response is not None
        exchange.order = self._order  # or the two would keep each other
        if self._ticket.revision:
            response.lines += REVISION_LINE % self._ticket.revision
        self._order.answered(exchange)
        if self.comparison is not None:
            self.comparison.real_answered(response)

    def streamed(self, exchange: Exchange) -> None:
        self._order.streamed(exchange)


class Router:
    """Gives each request to one of the revisions that are hosted here; the program in ``modelport_scoring.router`` does
    so among servers. One for each state of the settings and of what is hosted."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        default: int,
        others: Mapping[int, Hosted],
        submit_to_default: Callable[[Ticket], None],
        submit_to_other: Callable[[Ticket, Hosted], None],
        counts: Counts,
    ) -> None:
        self._split = Split(traffic, default=default, others=others)
        self._default = default
        self._others = dict(others)
        self._submit_to_default = submit_to_default
        self._submit_to_other = submit_to_other
        self._shadow: Shadow | None = None
        if traffic.shadow is not None:
            self._shadow = Shadow(traffic, revision=traffic.shadow, counts=counts, submit=self._submit)

    def submit(self, ticket: CopiableTicket, exchange: Exchange) -> None:
        """Give the ticket to a revision, and a copy of it to the shadow where it is to have one."""
        headers = exchange.head.headers
        mark = exchange.order = Marked(exchange.order, ticket)
        asked = ticket.asked if ticket.asked is not None else self._split.asked(headers)
        if asked is not None:
            self._submit_as_asked(ticket, asked)
            return
        number = self._split.choose(headers)
        hosted = self._others.get(number)
        if hosted is None or not hosted.is_ready:
            number = self._default
        shadow = self._shadow
        if shadow is not None:
            mark.comparison = shadow.copy(ticket, exchange, posing_as=number)
        self._submit(ticket, number)
        if shadow is not None and mark.comparison is not None:
            shadow.send(mark.comparison, exchange)

    def _submit_as_asked(self, ticket: Ticket, asked: bytes) -> None:
        number = self._split.find(asked)
        ticket.tied = True
        if number is None:
            ticket.refused(Refusal.NO_SUCH_REVISION)
        elif number != self._default and self._others[number].state is ServiceState.FAILED:
            ticket.refused(Refusal.REVISION_DOWN)
        else:
            self._submit(ticket, number)

    def _submit(self, ticket: Ticket, number: int) -> None:
        if number == self._default:
            self._submit_to_default(ticket)
        else:
            self._submit_to_other(ticket, self._others[number])

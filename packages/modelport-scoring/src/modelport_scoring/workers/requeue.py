"""What becomes of the requests that a worker held when it ended."""

from __future__ import annotations

from modelport_scoring.workers.replies import Replies
from modelport_scoring.workers.ticket import Ticket
from modelport_scoring.workers.ticket_ends import tell_lost

MOST_ATTEMPTS = 3
"""A request that was on its way to this many workers which died before they began with it is not tried again."""


def to_requeue(replies: Replies) -> list[Ticket]:
    """Take out the requests of a worker that has ended: those that are lost are told so, also those of clients that
    have ended their side, those that another worker may score are returned, in their order, and those of clients that
    have gone are forgotten."""
    lost, untouched = replies.unanswered()
    again = []
    for ticket in untouched:
        if ticket.client_has_gone:
            continue
        if ticket.attempts < MOST_ATTEMPTS and not ticket.client_has_ended:
            ticket.waiting_since = 0.0  # the time that it spent with the worker is no waiting
            again.append(ticket)
        else:
            lost.append(ticket)
    for ticket in lost:
        if not ticket.settled:
            tell_lost("that a request was lost could not be told", ticket)
    return again

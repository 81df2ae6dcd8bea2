"""Telling a request that no worker answers it. A fault of ours on that way, or a want of memory, is the end of that
request alone: whoever tells several goes on with the others."""

from __future__ import annotations

from modelport_scoring.logs.own_faults import report_fault
from modelport_scoring.workers.ticket import Refusal, Ticket


def refuse(ticket: Ticket, refusal: Refusal) -> None:
    """Tell the request so. A fault of ours on that way is its own end, and not that of others that wait."""
    try:
        ticket.refused(refusal)
    except Exception as error:
        give_up("a request could not be refused", ticket, error)


def time_out(ticket: Ticket) -> None:
    """Tell the request that ``run()`` took too long."""
    try:
        ticket.timed_out()
    except Exception as error:
        give_up("that run() took too long could not be told", ticket, error)


def give_up(what: str, ticket: Ticket, error: Exception) -> None:
    """A fault of ours stands between a request and its answer: that is one request's end, and not its worker's."""
    report_fault(what, error)
    tell_lost("nor could that it was lost", ticket)  # by the same way as the answer


def tell_lost(otherwise: str, ticket: Ticket) -> None:
    """Tell the request that it is lost; ``otherwise`` is what to write down where a fault of ours keeps it from that:
    the others have to be told still."""
    try:
        ticket.lost()
    except Exception as error:
        report_fault(otherwise, error)

"""From a version that was chosen to a connection to one of its servers: waited for, or another version's instead."""

from __future__ import annotations

import asyncio

from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.router.routing import Choice, Routing, no_replica, overloaded
from modelport_scoring.router.upstream import Unreachable
from modelport_scoring.router.upstream_connection import UpstreamConnection

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0


async def connected(routing: Routing, head: Head, choice: Choice) -> tuple[Choice, UpstreamConnection] | Response:
    """A connection, and whose it is; or what the client is told where there is none within ``limits.queue_wait_ms``, or
    too many wait for one. Who waits is judged anew where the settings change."""
    settings = routing.settings
    until, wait_s = routing.now() + settings.limits.queue_wait_ms / 1000, FIRST_WAIT_S
    while True:
        try:
            return await _any_of(choice, routing)
        except Unreachable:
            if routing.now() + wait_s > until:
                return no_replica(routing.settings)
            if routing.waiting >= routing.settings.limits.max_queue_length:
                return overloaded(routing.settings, "max_queue_length")
        await _wait(routing, wait_s)
        wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
        if routing.settings is not settings:
            settings, chosen = routing.settings, routing.choose(head)
            if isinstance(chosen, Response):
                return chosen
            choice = chosen


async def _wait(routing: Routing, seconds: float) -> None:
    routing.waiting += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        routing.waiting -= 1


async def _any_of(choice: Choice, routing: Routing) -> tuple[Choice, UpstreamConnection]:
    """A connection to the version that was chosen, or to the one that takes its place. Raises Unreachable."""
    try:
        if choice.instead is not None and choice.upstream.is_down:
            raise Unreachable
        return choice, await choice.upstream.connect()
    except Unreachable:
        if choice.instead is None:
            raise
        routing.metrics.fallbacks[choice.upstream.revision] += 1
        kept = choice.instead.kept_connection()
        return Choice(choice.instead, None), kept if kept is not None else await choice.instead.connect()

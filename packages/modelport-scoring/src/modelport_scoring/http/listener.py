"""The connections of one server: their number, their deadlines, and the clock that their answers carry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from modelport_scoring.http.budget import Budget
from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.response import Response, limit_message, message
from modelport_scoring.http.turns import Turns
from modelport_scoring.http.unread import MOST_BYTES, UnreadAnswers
from modelport_scoring.logs.journal import say
from modelport_scoring.settings.service import Limits
from modelport_scoring.settings.share import WHOLE, Share

SPARE_CONNECTIONS = 64
"""So many more than the limit are told why they are refused; the others are dropped."""

LEAST_ROOM = 32
"""So many may shake hands whatever there is."""

SWEEP_S = 1.0
SOONEST_SWEEP_S = 0.02
STALLED_S = 5.0
QUIET_S = 10.0
"""Between two lines of the log on connections that were turned away."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Watched(Protocol):
    """A connection, as the listener sees it."""

    deadline: float
    in_request: bool
    """Whether it has begun a request that is not whole yet."""

    @property
    def limits(self) -> Limits: ...

    @property
    def is_idle(self) -> bool:
        """Whether no answer is owed to the client, and it has begun no request."""

    @property
    def delivery(self) -> Delivery | None:
        """How far what was written has come; None before anything was."""

    @property
    def ahead_bytes(self) -> int:
        """What has been made of answers, and waits for others before them."""

    def overdue(self) -> None:
        """The deadline has passed."""

    def close(self) -> None:
        """End it, after what was written."""

    def reset(self) -> None:
        """End it now, and have the system drop what it holds of it."""


class ConnectionCounts(Protocol):
    """Who counts connections: the service's telemetry."""

    def connection_opened(self) -> None: ...

    def connection_closed(self) -> None: ...


class Listener:
    """Looks at all deadlines in one sweep a second: one timer for all is cheaper than two timers a request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        most_connections: int,
        share: Share = WHOLE,
        counts: ConnectionCounts | None = None,
    ) -> None:
        """``most_connections``: what the system allows this process."""
        self._share = share
        self._counts = counts
        self.stopping = False
        """The next answer on each connection is its last."""
        self.date_line = date_line()
        self.ended = 0
        """So many connections there have been that are over."""
        self._loop = loop
        self._most_connections = max(1, most_connections)
        self._connections: set[Watched] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._overdue: set[Watched] = set()
        """At the last sweep."""
        self._also: list[Callable[[], None]] = []
        self._turned_away = 0
        """Since the log has told of it last."""
        self._told_at = -QUIET_S
        self.now = loop.time
        self.call_soon = loop.call_soon
        self.turns = Turns(call_soon=loop.call_soon)
        unread = UnreadAnswers(most_bytes=share.part(MOST_BYTES), now=loop.time)
        self.sweep_with(lambda: unread.look(self._connections))
        self.budget = Budget(share=share, now=loop.time)
        self.sweep_with(self.budget.look)
        self.sweep_with(self._tell_turned_away)
        self.sweep()

    def __len__(self) -> int:
        return len(self._connections)

    def most(self, limits: Limits) -> int:
        """How many connections there may be here: our part of the limit, or what the system's limit of descriptors
        allows."""
        return min(self._share.part(limits.max_connections), self._most_connections)

    def room(self, limits: Limits) -> int:
        """How many clients may be about to become connections."""
        return max(LEAST_ROOM, self.most(limits) - len(self._connections))

    def sweep_with(self, also: Callable[[], None]) -> None:
        """Have it called at each sweep, about once a second."""
        self._also.append(also)

    def opened(self, connection: Watched) -> bool:
        """Whether the new connection may be served."""
        self._connections.add(connection)
        if self._counts is not None:
            self._counts.connection_opened()
        if len(self._connections) <= self.most(connection.limits):
            return True
        self._turned_away += 1
        return False

    def overcrowded(self, limits: Limits) -> bool:
        """Whether there are so many that not even a refusal can be sent."""
        return len(self._connections) > self.most(limits) + SPARE_CONNECTIONS

    def refusal(self, limits: Limits) -> Response:
        """What a client is told for whom there is no room, and which limit that is."""
        most, what = self.most(limits), "Too many connections are open"
        if most == self._share.part(limits.max_connections):
            return limit_message(503, what, limit="max_connections", value=limits.max_connections)
        text = f"{what}: the system lets this process have {most}. To raise it, start the service with more open files"
        return message(503, f"{text} allowed (ulimit -n).", close=True)

    def closed(self, connection: Watched) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.ended += 1
            if self._counts is not None:
                self._counts.connection_closed()

    def stop(self) -> None:
        """End the connections that wait for nothing, and the others with their next answer."""
        self.stopping = True
        for connection in list(self._connections):
            if connection.is_idle and (connection.delivery is None or connection.delivery.is_whole):
                connection.close()

    async def linger(self, *, least_s: float, idle_s: float, most_s: float) -> None:
        """Have each connection end with its next answer, and wait for that: ``idle_s`` also where it has no request,
        since its client may be sending one at this moment; ``most_s`` where it has."""
        self.stopping = True
        begun = self._loop.time()
        while (waited := self._loop.time() - begun) < most_s:
            if waited >= least_s and not self._connections:
                return
            if waited >= idle_s and all(connection.is_idle for connection in self._connections):
                return
            await asyncio.sleep(SOONEST_SWEEP_S)

    async def received(self, *, until: float) -> None:
        """Wait until all requests that have begun are whole, or it is so late."""
        while any(each.in_request for each in self._connections) and self._loop.time() < until:
            await asyncio.sleep(SOONEST_SWEEP_S)

    async def delivered(self, *, most_s: float) -> None:
        """Wait until the clients have got what was answered, which the end of the process would cut off: at most so
        long, and no longer than ``STALLED_S`` for clients that take nothing of it."""
        begun = progressed = self._loop.time()
        before: dict[Delivery, int] = {}
        while (now := self._loop.time()) < min(begun + most_s, progressed + STALLED_S):
            owed = [each.delivery for each in self._connections if each.delivery is not None]
            taken = {delivery: delivery.progress for delivery in owed if not delivery.is_whole}
            if not taken:
                return
            if any(taken[delivery] > before.get(delivery, taken[delivery]) for delivery in taken):
                progressed = now
            before = taken
            await asyncio.sleep(SOONEST_SWEEP_S)

    def close(self) -> None:
        """Sweep no more."""
        if self._sweeper is not None:
            self._sweeper.cancel()

    def sweep(self) -> None:
        """Look at all deadlines, and again within a second.

        Who is late is judged by the next sweep, 20 ms later: where the process was held up, as with a machine that is
        suspended, its timers are due before it has read what came meanwhile.
        """
        if self._sweeper is not None:
            self._sweeper.cancel()
        now = self._loop.time()
        self.date_line = date_line()
        interval = SWEEP_S
        before, self._overdue = self._overdue, set()
        for connection in [each for each in self._connections if each.deadline < now + SWEEP_S]:
            if connection.deadline > now:
                interval = min(interval, connection.deadline - now)
            elif connection in before:
                self._do(connection.overdue)
            else:
                self._overdue.add(connection)
                interval = 0.0
        for also in self._also:
            self._do(also)
        self._sweeper = self._loop.call_later(max(interval, SOONEST_SWEEP_S), self.sweep)

    def _tell_turned_away(self) -> None:
        now = self._loop.time()
        if self._turned_away and now - self._told_at >= QUIET_S:
            say(
                f"{self._turned_away} connections were turned away: as many were open as limits.max_connections or the "
                "system's limit of open files (ulimit -n) allows"
            )
            self._turned_away, self._told_at = 0, now

    def _do(self, part: Callable[[], None]) -> None:
        """A fault in one part of the sweep must not end it: no deadline would hold any more."""
        try:
            part()
        except Exception as error:
            self._loop.call_exception_handler({"message": "a part of the sweep failed", "exception": error})


def date_line() -> bytes:
    """The Date header of this second (RFC 9110, 5.6.7)."""
    now = time.gmtime()
    clock = time.strftime("%H:%M:%S", now)
    day, month = DAYS[now.tm_wday], MONTHS[now.tm_mon - 1]
    return f"date: {day}, {now.tm_mday:02d} {month} {now.tm_year} {clock} GMT\r\n".encode()

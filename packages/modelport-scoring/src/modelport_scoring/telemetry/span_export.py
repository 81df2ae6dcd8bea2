"""Sending spans to a collector, in a thread of its own: the loop only appends to a bounded queue."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from modelport_scoring.logs.journal import say
from modelport_scoring.telemetry.tracer import Request

MOST_WAITING = 4096
"""Requests; each makes up to two spans."""
MOST_AT_ONCE = 256
INTERVAL_S = 1.0
PATIENCE_S = 2.0
"""How long the end of the server waits for the last spans."""
QUIET_S = 60.0
"""The log names a collector that is away once in so long."""

HEADERS_WRONG = (
    "OTEL_EXPORTER_OTLP_HEADERS must hold headers as name=value, with commas between them, and what is no plain "
    "character in a value as %20: something there is none, and what it is is not told here"
)

SWITCH_INTERVAL_S = 0.0005
"""The thread lets the loop go on after so long, not after Python's 5 ms: packing a batch takes longer."""

Send = Callable[[Sequence[Request]], int]
"""Sends what the requests' spans are, and returns how many of them were lost."""


class SpanExport:
    """A queue and the thread that empties it. ``load`` is called in the thread: it takes a quarter of a second."""

    def __init__(self, load: Callable[[], Send]) -> None:
        self._load = load
        self._waiting: deque[Request] = deque()
        self._overflown = 0
        self._lost = 0
        """Unlike the one before, written by the thread, and at the end; neither ever begins anew, so that reading them
        needs no lock."""
        self._told = 0
        self._sending: Sequence[Request] = ()
        """What the thread has taken from the queue, and does not know the fate of yet."""
        self._taking = threading.Lock()
        """Held where the two change hands, by the thread and by whoever ends this, so that each is counted once."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        """None as long as there was none to be had."""
        self._has_complained = False
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self._start()

    def add(self, request: Request) -> None:
        """Take it, or drop it where too many wait. Never waits."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(request)
        else:
            self._overflown += spans_of(request)

    def take_dropped(self) -> int:
        """How many spans were dropped since this was asked last. Called about once a second."""
        if self._thread is None:
            self._start()
        before, self._told = self._told, self._overflown + self._lost
        return self._told - before

    def let_go(self) -> None:
        """Have the thread send what is left, and end; nobody waits for it."""
        self._stopping.set()

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be sent, or counted, since it was told to."""
        return self._stopping.is_set() and self._thread is not None and not self._thread.is_alive()

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Send what is left, for so long at most. What could not be is dropped, counted, and told once: with the
        service, whoever could be asked for the count may end too."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(max(0.0, patience_s))
        if not self.has_ended:
            self._drop_the_rest()
        lost = self._overflown + self._lost - self._told
        if lost:
            say(f"spans: {lost} of the last ones before the end could not be sent, and are lost")

    def _drop_the_rest(self) -> None:
        """The thread may end with what it is sending, but that can arrive or not: it counts as lost."""
        with self._taking:
            left = [*self._sending, *self._waiting]
            self._sending = ()
            self._waiting.clear()
            self._lost += lose(left)

    def _start(self) -> None:
        """Where the system has no thread to give, the spans wait until it has: what asked for them, a change of the
        settings, is not to fail half-way for that."""
        thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._has_complained:
                self._has_complained = True
                say(f"spans cannot be exported for now: {error}; it is tried again")
        else:
            self._thread = thread

    def _run(self) -> None:
        logging.getLogger("opentelemetry").addHandler(COMPLAINTS)
        logging.getLogger("opentelemetry").propagate = False
        try:
            send = self._load()
        except Exception as error:
            say(f"spans cannot be exported: {type(error).__name__}: {without_headers(str(error))}")
            send = lose
        while not self._stopping.wait(INTERVAL_S):
            self._empty(send)
        self._empty(send)

    def _empty(self, send: Send) -> None:
        while requests := self._take():
            try:
                lost = send(requests)
            except Exception as error:
                # The thread must live: this batch is lost, the next one may be better.
                lost = lose(requests)
                say(f"spans could not be exported: {type(error).__name__}: {without_headers(str(error))}")
            with self._taking:
                if self._sending:  # else they were counted, as nobody waits for them any more
                    self._sending = ()
                    self._lost += lost

    def _take(self) -> Sequence[Request]:
        """The oldest that wait; nothing where none do."""
        with self._taking:
            self._sending = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            return self._sending


def lose(requests: Sequence[Request]) -> int:
    """In the place of ``Send``, where nothing can be sent: all that comes is counted."""
    return sum(map(spans_of, requests))


def spans_of(request: Request) -> int:
    """How many spans it makes."""
    return 2 if request.micros else 1


def without_headers(text: str) -> str:
    """The text, unless it is about a header: those who write it repeat the header's value, and that is a key."""
    return HEADERS_WRONG if "header" in text.lower() else text


class RareLines(logging.Handler):
    """What OpenTelemetry complains of, in the server's log, but not for every batch."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until: dict[str, float] = {}
        """For each of its parts: one that speaks at the start must not keep the exporter quiet."""

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._quiet_until.get(record.name, 0.0):
            self._quiet_until[record.name] = now + QUIET_S
            say(f"spans: {without_headers(record.getMessage())} (said once in {QUIET_S:.0f} s)")


COMPLAINTS = RareLines()
"""One for the process, however often its settings change."""

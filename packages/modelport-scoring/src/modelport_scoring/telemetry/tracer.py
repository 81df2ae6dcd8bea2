"""The traces of the requests to ``/score``: continued or begun, told to the script, and handed over to be exported."""

from __future__ import annotations

from collections.abc import Mapping
from random import getrandbits
from typing import NamedTuple, Protocol

from modelport_scoring.telemetry.trace_context import read_parent, traceparent

HALF_TRACE = 1 << 64


class Trace:
    """The place of one request in a trace: a span for the request and, below it, one for ``run()``."""

    __slots__ = ("parent_id", "random", "run_id", "sampled", "span_id", "state", "trace_id")

    def __init__(
        self, trace_id: bytes, parent_id: bytes | None, *, sampled: bool, state: bytes, random: bool = False
    ) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.sampled = sampled
        self.random = random
        """The client's word on the trace's id, which is passed on."""
        self.state = state
        """The ``tracestate`` header for the script; nothing: it gets none."""
        # No secrets, so they need no system call.
        self.span_id = b"%016x" % (getrandbits(64) or 1)
        self.run_id = b"%016x" % (getrandbits(64) or 1)

    @property
    def child_header(self) -> bytes:
        """The ``traceparent`` header for the script: what it traces lies below its ``run()``."""
        return traceparent(self.trace_id, self.run_id, sampled=self.sampled, random=self.random)


class Described(NamedTuple):
    """A service, as its spans name it."""

    name: str
    scheme: str = "http"


class Request(NamedTuple):
    """One request that was answered. Times are seconds of ``time.monotonic()``."""

    trace: Trace
    method: bytes
    path: bytes
    status: int
    revision: int
    started: float
    sent: float
    micros: int
    batch: int
    ended: float


class Export(Protocol):
    """Where requests of sampled traces go."""

    def add(self, request: Request) -> None:
        """Take it, or drop it. Never waits."""

    def take_dropped(self) -> int:
        """How many spans were dropped since this was asked last."""

    def let_go(self) -> None:
        """Send what is left, some time soon. Never waits."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be sent, or counted, since it was told to."""

    def close(self, patience_s: float) -> None:
        """Send what is left, for so long at most, and drop the rest."""


class Tracer:
    """Decides what is sampled, and hands it over."""

    def __init__(self, *, sampling_ratio: float, export: Export | None) -> None:
        self.export = export
        self._bound = round(sampling_ratio * HALF_TRACE)

    def begin(self, headers: Mapping[bytes, bytes]) -> Trace:
        """Continue the client's trace, or begin one where the client sent none (header names are in lower case)."""
        parent = read_parent(headers)
        if parent is not None:
            return Trace(
                parent.trace_id, parent.span_id, sampled=parent.sampled, state=parent.state, random=parent.random
            )
        # As OpenTelemetry's TraceIdRatioBased decides: by the last half of the id.
        half = getrandbits(64)
        trace_id = b"%016x%016x" % (getrandbits(64) or 1, half)
        return Trace(trace_id, None, sampled=half < self._bound, state=b"")

    def end(
        self,
        trace: Trace,
        *,
        status: int,
        started: float,
        sent: float,
        micros: int,
        ended: float,
        method: bytes = b"POST",
        path: bytes = b"/score",
        revision: int = 0,
        batch: int = 1,
    ) -> None:
        """The request was answered; the arguments are those of ``Telemetry.scored``."""
        if self.export is not None and trace.sampled:
            self.export.add(Request(trace, method, path, status, revision, started, sent, micros, batch, ended))

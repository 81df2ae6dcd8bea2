"""What a service tells about itself: metrics unless they are switched off, everything else only if it is asked for."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class LogFormat(StrEnum):
    """How a log is written."""

    TEXT = "text"
    JSON = "json"


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ``telemetry`` of a service; docs/settings.md describes each field."""

    metrics: bool = True
    """Whether requests are counted and ``GET /metrics`` answers."""
    access_log: bool = False
    """Whether ``logs/access.log`` gets a line for each request but those to ``/``."""
    access_log_format: LogFormat = LogFormat.TEXT
    log_format: LogFormat = LogFormat.TEXT
    """How the server and its supervisor write their own messages."""
    tracing: bool = False
    """Whether each request to ``/score`` continues its client's trace, or begins one, and ``run()`` is told."""
    otlp_endpoint: str | None = None
    """Where spans are sent (OTLP over HTTP, for example ``http://127.0.0.1:4318/v1/traces``); None: nowhere."""
    otlp_headers: dict[str, str] = {}
    """Sent with the spans, for a collector that asks for a key."""
    sampling_ratio: float = 1.0
    """Which part of the traces that begin here is exported; a trace that the client began follows the client."""


def check_telemetry(settings: TelemetrySettings) -> str | None:
    """What is wrong with the settings beyond their types, or None."""
    if not 0.0 <= settings.sampling_ratio <= 1.0:
        return f"telemetry.sampling_ratio must be between 0 and 1, not {settings.sampling_ratio}"
    if settings.otlp_endpoint is not None and not settings.otlp_endpoint.startswith(("http://", "https://")):
        return f"telemetry.otlp_endpoint must begin with http:// or https://, not be {settings.otlp_endpoint!r}"
    if settings.otlp_endpoint is not None and not settings.tracing:
        return "telemetry.otlp_endpoint says where spans go, but telemetry.tracing is off: switch it on"
    return None

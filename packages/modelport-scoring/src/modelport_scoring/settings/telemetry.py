"""What a service tells about itself: metrics unless they are switched off, everything else only if it is asked for."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

INSTALL_TRACING = 'pip install "modelport-scoring[tracing]"'


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
    """Where spans are sent (OTLP over HTTP, for example ``http://127.0.0.1:4318``); None: nowhere. What a collector
    asks for besides, a key above all, is in OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_HEADERS``, …)."""
    sampling_ratio: float = 1.0
    """Which part of the traces that begin here is exported; a trace that the client began follows the client."""


def check_telemetry(settings: TelemetrySettings) -> str | None:
    """What is wrong with the settings beyond their types, or None."""
    if not 0.0 <= settings.sampling_ratio <= 1.0:
        return f"telemetry.sampling_ratio must be between 0 and 1, not {settings.sampling_ratio}"
    if settings.otlp_endpoint is None:
        return None
    if not settings.tracing:
        return "telemetry.otlp_endpoint says where spans go, but telemetry.tracing is off: switch it on"
    return check_endpoint(settings.otlp_endpoint)


def check_endpoint(endpoint: str) -> str | None:
    """What is wrong with the collector's address, or None."""
    try:
        url = urlsplit(endpoint)
        is_address = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        return "telemetry.otlp_endpoint must be an address as http://127.0.0.1:4318"
    if url.username or url.password or url.query:
        return "telemetry.otlp_endpoint must not hold credentials: they belong into OTEL_EXPORTER_OTLP_HEADERS"
    if not has_module("opentelemetry.exporter.otlp.proto.http") or not has_module("opentelemetry.sdk"):
        return f"telemetry.otlp_endpoint needs OpenTelemetry, which is not installed: {INSTALL_TRACING}"
    return None


def has_module(name: str) -> bool:
    """Whether the module is installed, without loading it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

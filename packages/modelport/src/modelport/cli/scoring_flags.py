"""How a service scores, as options (azureml-v1 reference: 3.6)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from modelport.cli.deployment_file import number
from modelport.cli.options import Truth, is_true, pairs
from modelport.domain.errors import UserErrorException

_PANEL = "How it scores"


@dataclass(frozen=True, kw_only=True)
class TimeoutFlags:
    """How long requests wait and run."""

    scoring_timeout_ms: Annotated[
        int | None,
        typer.Option(
            "--scoring-timeout-ms",
            "--tm",
            help="Milliseconds that run() may take for a request; 60000 without.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    max_request_wait_time: Annotated[
        int | None,
        typer.Option(
            "--max-request-wait-time",
            "--mr",
            help="Milliseconds that a request waits for a worker before it is refused.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    replica_max_concurrent_requests: Annotated[
        int | None,
        typer.Option(
            "--replica-max-concurrent-requests",
            "--rm",
            help="Requests that the workers of the service hold at once; the others wait.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def timeouts(self) -> dict[str, Any]:
        """By v1's names; None where nothing was said."""
        return {
            "scoring_timeout_ms": self.scoring_timeout_ms,
            "max_request_wait_time": self.max_request_wait_time,
            "replica_max_concurrent_requests": self.replica_max_concurrent_requests,
        }


@dataclass(frozen=True, kw_only=True)
class ScoringFlags(TimeoutFlags):
    """Workers, batching, limits and telemetry."""

    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that run the script; 1 without.", rich_help_panel=_PANEL)
    ] = None
    server_processes: Annotated[
        int | None,
        typer.Option(
            "--server-processes",
            help="Processes that accept connections, and share the workers; 1 without.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    worker_start: Annotated[
        str | None,
        typer.Option(
            "--worker-start",
            metavar="spawn|fork",
            help="How workers come up: spawn, each by itself; fork, from one process after init(), sharing memory.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    warm_up: Annotated[
        Truth | None,
        typer.Option(
            "--warm-up",
            help="Score the schema's sample before a worker takes requests; false without.",
            case_sensitive=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    batching: Annotated[
        str | None,
        typer.Option(
            "--batching",
            metavar="true|false|N",
            help="Score requests that wait together by one call of run(), N at most; false without.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    cors_origins: Annotated[
        str | None,
        typer.Option(
            "--cors-origins",
            help="Origins whose pages may read the answers, with commas between them; * for any, '' for none.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    error_mode: Annotated[
        str | None,
        typer.Option(
            "--error-mode",
            help="What clients see of an error in run(): cloud, container, json.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit", metavar="NAME=NUMBER", help="A limit of the scoring server. Repeatable.", rich_help_panel=_PANEL
        ),
    ] = None
    telemetry: Annotated[
        list[str] | None,
        typer.Option(
            "--telemetry",
            metavar="NAME=VALUE",
            help="What the service tells about itself, as access_log=true. Repeatable.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    enable_app_insights: Annotated[
        Truth | None,
        typer.Option(
            "--enable-app-insights",
            "--ai",
            help="Record each request in the access log; nothing is sent anywhere.",
            case_sensitive=False,
            rich_help_panel=_PANEL,
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Arguments of ``deploy_configuration``; None where nothing was said."""
        return {
            "workers": self.workers,
            "server_processes": self.server_processes,
            "worker_start": self.worker_start,
            "warm_up": is_true(self.warm_up),
            "batching": _batching(self.batching),
            "cors_origins": self.cors_origins,
            "error_mode": self.error_mode,
            "enable_app_insights": is_true(self.enable_app_insights),
            "limits": self.limits(),
            "telemetry": self.telemetry_settings(),
            **self.timeouts(),
        }

    def limits(self) -> dict[str, float] | None:
        """Those given by name."""
        return {name: number(value, name) for name, value in pairs(self.limit, "--limit").items()} or None

    def telemetry_settings(self) -> dict[str, bool | float | str | None] | None:
        """Values as JSON has them: ``true``, ``0.5``, ``null``; anything else is text."""
        return {name: _value(text) for name, text in pairs(self.telemetry, "--telemetry").items()} or None


def _batching(given: str | None) -> bool | int | None:
    if given is None:
        return None
    if given.lower() in ("true", "false"):
        return given.lower() == "true"
    if given.isdecimal():
        return int(given)
    raise UserErrorException(f"Invalid --batching {given!r}: it must be true, false or a number of requests.")


def _value(text: str) -> bool | float | str | None:
    try:
        value = json.loads(text.lower())
    except ValueError:
        return text
    return value if value is None or isinstance(value, bool | int | float) else text

"""How a service is (docs/architecture/03-data-plane.md, "The control socket")."""

from __future__ import annotations

from enum import StrEnum


class ServiceState(StrEnum):
    STARTING = "starting"
    """The first workers have not finished ``init()``."""
    RUNNING = "running"
    """At least one worker takes requests."""
    UNHEALTHY = "unhealthy"
    """There was one, and now there is none: it is being started again, with back-off."""
    FAILED = "failed"
    """The first start failed; nothing is retried until a switch or a restart."""

"""The settings of a service on this machine, by the names that docs/settings.md and v1 have for them."""

from __future__ import annotations

from typing import Any

from modelport.domain.services import ServiceState
from modelport.sdk.service_snapshot import ServiceSnapshot


class ServiceSettings(ServiceSnapshot):
    """What a service does beyond running the script. Nothing is set where there is no service."""

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by its name in docs/settings.md, with its default where none was asked for; empty where there
        is no service."""
        if self.state == ServiceState.UNKNOWN.value:
            return {}
        return self.workspace.context.target(self._service).settings(self._service)

    @property
    def scoring_timeout_ms(self) -> int | None:
        """The limit of that name; None, as below, where there is no service."""
        return self._limit("scoring_timeout_ms")

    @property
    def max_concurrent_requests_per_container(self) -> int | None:
        """The limit ``max_concurrent_requests``."""
        return self._limit("max_concurrent_requests")

    @property
    def max_request_wait_time(self) -> int | None:
        """The limit ``queue_wait_ms``."""
        return self._limit("queue_wait_ms")

    @property
    def enable_app_insights(self) -> bool:
        """Whether each request is recorded in the access log because that was asked for by v1's name."""
        return self.state != ServiceState.UNKNOWN.value and bool(self._service.deployment.app_insights_enabled)

    def _limit(self, name: str) -> int | None:
        limits: dict[str, int] = self.settings.get("limits", {})
        return limits.get(name)

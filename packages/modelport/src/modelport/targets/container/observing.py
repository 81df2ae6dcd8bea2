"""How a service in containers is, from what its engine shows of them."""

from __future__ import annotations

from dataclasses import replace

from modelport.domain.failures import Failure, Phase
from modelport.domain.services import ServiceState
from modelport.targets.container.failures import explained
from modelport.targets.container.parts import Parts, Server
from modelport.targets.interface import Observation
from modelport.targets.serving.observing import observation_of

_OWN_FAILURES = (1, 3)
"""Exit statuses of a server that cannot serve, or whose script cannot be started."""


def observe(parts: Parts) -> Observation:
    """How it is now; without the port, and the host that it is on."""
    servers = parts.servers()
    serving = next((server for server in servers if server.accepts), None)
    if serving is None and servers:
        serving = next((server for server in servers if server.runs), servers[0])
    if serving is None:
        return Observation(state=ServiceState.STOPPED)
    if not serving.runs:
        return _of_ended(serving)
    holder = parts.holder()
    if holder is None or holder.status != "running" or not serving.started_after(holder):
        why = "The container that has the service's port has ended, so that nobody reaches the service."
        return Observation(
            state=ServiceState.STOPPED,
            failure=Failure(phase=Phase.START, message=why),
        )
    return _of_running(serving)


def _of_running(server: Server) -> Observation:
    report = server.report
    # One that has ended before, and that its engine has started again, is not on its way for the first time.
    starting = ServiceState.UNHEALTHY if server.restarts else ServiceState.DEPLOYING
    if report is None or report.status is None:
        return Observation(state=starting, active_revision=server.number)
    seen = replace(observation_of(report.status), port=None)
    state = starting if seen.state is ServiceState.DEPLOYING else seen.state
    return replace(seen, state=state, failure=seen.failure and explained(seen.failure, server.container.attrs))


def _of_ended(server: Server) -> Observation:
    code = server.state.get("ExitCode")
    if code in _OWN_FAILURES or server.container.status == "restarting":
        return Observation(state=ServiceState.FAILED, failure=server.failure())
    # Whoever ended it, it was not the service itself: an engine that stopped, or a user.
    return Observation(state=ServiceState.STOPPED, failure=None if code == 0 else server.failure())

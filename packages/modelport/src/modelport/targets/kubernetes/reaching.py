"""Whether clients reach a service whose pods run: what leads to it, and what stands in the way."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import ServiceState
from modelport.targets.interface import Observation
from modelport.targets.kubernetes.addresses import (
    Address,
    address_of,
    address_of_gateway,
    address_of_url,
    refuses,
    waits_for_balancer,
)
from modelport.targets.kubernetes.applying import Applied
from modelport.targets.kubernetes.cluster import Cluster, Object
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.settings import ClusterSettings, Expose
from modelport.targets.kubernetes.watching import wait_for

_ADDRESS_WITHIN_S = 180
"""How long a load balancer or an Ingress may take to get its address."""
_REFUSED_WITHIN_S = 60
"""How long nodes may take to hear of pods. After that, something stands between this machine and the cluster."""
_ACCEPTED_WITHIN_S = 60.0
_LOOK_EVERY_S = 1.0
_LOOKS_REFUSED = 5
"""A Gateway may refuse a route for a moment, whose Services it has not seen yet."""


@dataclass(frozen=True, kw_only=True)
class Reaching:
    """The way to the services of one cluster."""

    cluster: Cluster
    facts: ClusterFacts
    settings: ClusterSettings

    def told(self, seen: Observation, applied: Applied, *, name: str, tls: bool) -> Observation:
        """What was seen of the service's pods, with the address that leads there. A service whose pods run is still on
        its way as long as nothing leads to it, and unhealthy where a Gateway refuses it."""
        exposed = self._exposed(applied, name)
        address = None if exposed is None else self._address(exposed, tls=tls)
        is_running = seen.state is ServiceState.RUNNING
        if address is not None:
            seen = replace(seen, host=address.host, port=address.port, speaks_tls=address.speaks_tls)
        refusal = None if exposed is None else why_refused(exposed)
        if not is_running:
            return seen
        if refusal is not None:
            return replace(seen, state=ServiceState.UNHEALTHY, failure=refusal)
        if address is None:
            is_late = exposed is not None and _age_s(exposed) > _ADDRESS_WITHIN_S
            return replace(seen, failure=_nowhere(exposed)) if is_late else replace(seen, state=ServiceState.DEPLOYING)
        # KServe has tried the address itself before it says that it is ready
        if self.settings.kserve or not refuses(address):
            return seen
        if _available_s(applied.objects("Deployment")) <= _REFUSED_WITHIN_S:
            return replace(seen, state=ServiceState.DEPLOYING)
        return replace(seen, failure=seen.failure or _refused_here(address))

    def wait(self, applied: Applied, *, name: str) -> None:
        """Return when the Gateway has taken the route, or says nothing of it.

        Raises DeploymentFailed where it refuses it, with its words.
        """
        if self.settings.kserve or self.settings.expose is not Expose.GATEWAY:
            return
        refusals: list[Failure] = []

        def look() -> bool | None:
            route = self._exposed(applied, name)
            refusal = None if route is None else why_refused(route)
            refusals[:] = [] if refusal is None else [*refusals, refusal]
            is_taken = route is not None and refusal is None and bool(_said_of(route))
            return is_taken or len(refusals) >= _LOOKS_REFUSED or None

        wait_for(look, threading.Event(), within_s=_ACCEPTED_WITHIN_S, look_every_s=_LOOK_EVERY_S)
        if refusals:
            raise DeploymentFailed(refusals[-1])

    def _exposed(self, applied: Applied, name: str) -> Object | None:
        """The object by which clients reach the service."""
        kinds = {Expose.INGRESS: "Ingress", Expose.GATEWAY: "HTTPRoute"}
        kind = "InferenceService" if self.settings.kserve else kinds.get(self.settings.expose, "Service")
        return next((found for found in applied.objects(kind) if found["metadata"]["name"] == name), None)

    def _address(self, exposed: Object, *, tls: bool) -> Address | None:
        if self.settings.kserve:
            return address_of_url((exposed.get("status") or {}).get("url"))
        if self.settings.expose is Expose.GATEWAY:
            is_known = bool((exposed.get("status") or {}).get("parents"))
            return address_of_gateway(self.settings, self._gateway(exposed), tls=tls) if is_known else None
        if waits_for_balancer(self.settings, exposed) and _age_s(exposed) <= _ADDRESS_WITHIN_S:
            return None
        return address_of(self.settings, exposed=exposed, nodes=() if self.settings.host else self._nodes)

    def _gateway(self, route: Object) -> Object | None:
        """That of the route; None where the context's user may not see it."""
        parent = route["spec"]["parentRefs"][0]
        namespace = parent.get("namespace") or route["metadata"]["namespace"]
        try:
            kind = f"{self.facts.api_version('Gateway')}/Gateway"
            return self.cluster.get(kind, parent["name"], namespace=namespace)
        except WebserviceException:
            return None

    @cached_property
    def _nodes(self) -> Sequence[Object]:
        """Empty where the context's user may not see them: then ``host`` has to say where a node is."""
        try:
            return self.cluster.list("v1/Node")
        except WebserviceException:
            return []


def why_refused(exposed: Object) -> Failure | None:
    """What the controller of a Gateway says against a route; None of other objects, and where it says nothing."""
    for one in _said_of(exposed):
        if one.get("type") in ("Accepted", "ResolvedRefs") and one.get("status") == "False":
            said = ": ".join(str(one[key]) for key in ("reason", "message") if one.get(key))
            return Failure(
                phase=Phase.START,
                message=f"The Gateway does not take the route {exposed['metadata']['name']}: {said}",
                hint="The Gateway's listeners say which namespaces and host names they serve.",
            )
    return None


def _said_of(route: Object) -> list[Object]:
    """What Gateways say of the route as it is now."""
    generation = route["metadata"].get("generation", 0)
    parents = (route.get("status") or {}).get("parents") or ()
    said = [one for parent in parents for one in parent.get("conditions") or ()]
    return [one for one in said if one.get("observedGeneration", generation) >= generation]


def _age_s(found: Object) -> float:
    return _since_s(found["metadata"]["creationTimestamp"])


def _available_s(deployments: Sequence[Object]) -> float:
    """For how long all of them have had pods that take requests; 0 where one has none."""
    told = [(found.get("status") or {}).get("conditions") or () for found in deployments]
    since = [
        _since_s(one["lastTransitionTime"])
        for conditions in told
        for one in conditions
        if one["type"] == "Available" and one["status"] == "True"
    ]
    return min(since, default=0.0) if len(since) == len(deployments) else 0.0


def _since_s(time: object) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(str(time))).total_seconds()


def _refused_here(address: Address) -> Failure:
    return Failure(
        phase=Phase.START,
        message=f"The pods run, and connections from this machine are refused at {address.host}:{address.port}.",
        hint="Others may reach it: a firewall or a proxy may be in between. Is host= of the compute target right?",
    )


def _nowhere(exposed: Object | None) -> Failure:
    kind = "service" if exposed is None else exposed["kind"]
    return Failure(
        phase=Phase.START,
        message=f"The pods run, and no address leads to them: the {kind} has none after {_ADDRESS_WITHIN_S} s.",
        hint="Does the cluster have a controller for it? Where it is reached can also be said: attach it with host=.",
    )

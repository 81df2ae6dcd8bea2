"""What becomes of a deployment that was meant for a cloud: where it runs, and what has no effect there.

The notes follow from what the workspace knows of the service: they are printed when it is deployed, and stand above its
log from then on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from modelport.domain.deployments import ComputeType, Deployment, Resources, RunsOn
from modelport.domain.services import Service
from modelport.packages.plan import PORT
from modelport.targets.container.addresses import host_of

REPLICAS_ARE_WORKERS = "A replica is a worker process"

_NAMES_OF_PLACES = {
    "compute_name": "compute target",
    "namespace": "namespace",
    "location": "location",
    "dns_name_label": "DNS label",
    "vnet_name": "network",
    "subnet_name": "subnet",
    "cmk_vault_base_url": "key vault",
    "cmk_key_name": "encryption key",
    "cmk_key_version": "its version",
}

_WITH_EFFECT: dict[RunsOn, tuple[str, ...]] = {
    RunsOn.CONTAINER: ("dns_name_label",),
    RunsOn.KUBERNETES: ("compute_name", "namespace"),
}
"""Names that are more than names, by where a service runs."""


def deployment_notes(service: Service) -> list[str]:
    """One line for each thing; none for a service that was meant for this machine."""
    if ComputeType(service.compute_type) is ComputeType.LOCAL:
        return []
    if service.deployment.runs_on is RunsOn.KUBERNETES:
        return list(_of_a_cluster(service))
    return list(_notes(service))


def _notes(service: Service) -> Iterator[str]:
    deployments = [version.deployment for version in service.versions] or [service.deployment]
    if service.deployment.runs_on is RunsOn.CONTAINER:
        yield from _of_a_container(service)
    else:
        yield (
            f"{service.compute_type} service {service.name!r}: runs on this machine, as processes of its own, with "
            f"{_scale(service)}. {REPLICAS_ARE_WORKERS}."
        )
        yield from dict.fromkeys(line for deployment in deployments for line in _resources(deployment))
    places = _places(service)
    if places:
        yield f"Names that are kept and shown, and change nothing here: {', '.join(places)}."
    if service.compute_type != ComputeType.ACI:
        yield (
            "The liveness probe's numbers are kept and shown: the scoring server sees at once that a worker has ended, "
            "and starts it again."
        )
    if service.deployment.app_insights_enabled:
        where = "log" if service.deployment.runs_on is RunsOn.CONTAINER else "logs/access.log"
        yield f"Application Insights: each request is recorded in the service's {where}, and nothing is sent anywhere."
    yield from _model_data(service, deployments)


def _model_data(service: Service, deployments: Iterable[Deployment]) -> Iterator[str]:
    """Where what scripts collect is kept: on this machine, unless the service is elsewhere."""
    if not any(deployment.collects_model_data for deployment in deployments):
        return
    where = "below modeldata/ of the workspace's datastore workspaceblobstore"
    if service.deployment.runs_on is RunsOn.KUBERNETES:
        where = "of the claim for collected model data in the service's namespace"
    elif service.deployment.runs_on is RunsOn.CONTAINER and host_of(service.deployment.place.engine or "") is not None:
        where = "of the volume of the engine whose name ends in -modeldata"
    yield f"Model data collection: what a ModelDataCollector of the script collects is in CSV files {where}."


def _of_a_cluster(service: Service) -> Iterator[str]:
    deployments = [version.deployment for version in service.versions] or [service.deployment]
    yield (
        f"{service.compute_type} service {service.name!r}: runs in the cluster of the context "
        f"{service.deployment.place.context!r}, with {_scale(service)}. A replica is a pod."
    )
    if any(deployment.scales_by_itself for deployment in deployments):
        yield (
            "The number of pods follows the CPU that they use, for which the cluster needs a metrics server; KServe "
            "counts requests instead."
        )
    places = _places(service)
    if places:
        yield f"Names that are kept and shown, and change nothing here: {', '.join(places)}."
    if service.deployment.app_insights_enabled:
        yield "Application Insights: each request is recorded in the pods' output, and nothing is sent anywhere."
    yield from _model_data(service, deployments)


def _of_a_container(service: Service) -> Iterator[str]:
    place = service.deployment.place
    yield (
        f"{service.compute_type} service {service.name!r}: runs in a container of the engine at {place.engine}, with "
        f"{_scale(service)}."
    )
    limits = _limits(service.deployment)
    if limits:
        yield f"The container's limits: {', '.join(limits)}."
    if place.dns_name_label:
        yield (
            f"Containers in the engine's network of this workspace reach it as http://{place.dns_name_label}:{PORT}; "
            "no public name is made."
        )


def _scale(service: Service) -> str:
    if service.versions:
        return "; ".join(f"{_replicas(version.deployment)} for version {version.name}" for version in service.versions)
    return _replicas(service.deployment)


def _replicas(deployment: Deployment) -> str:
    scale = deployment.autoscale
    if scale is not None and scale.enabled:
        return (
            f"{scale.min_replicas} to {scale.max_replicas} replicas, as many as keep {scale.target_utilization:g} % of "
            "them busy"
        )
    count = deployment.first_replicas
    return f"{count} replica{'s' * (count > 1)}"


def _limits(deployment: Deployment) -> list[str]:
    asked = deployment.resources or Resources()
    return [
        f"{what} {number:g}{unit}"
        for what, number, unit in (
            ("cpu", asked.cpu, ""),
            ("cpu limit", asked.cpu_limit, ""),
            ("memory", asked.memory_gb, " GB"),
            ("memory limit", asked.memory_gb_limit, " GB"),
        )
        if number is not None
    ]


def _resources(deployment: Deployment) -> Iterator[str]:
    asked, limits = deployment.resources or Resources(), _limits(deployment)
    if limits:
        yield f"Kept and shown, neither set aside nor enforced here: {', '.join(limits)} for each replica."
    cores, there = (asked.cpu or 0) * deployment.first_replicas, os.cpu_count() or 1
    if cores > there:
        yield f"The replicas ask for {cores:g} cores together, and this machine has {there}: they share them."


def _places(service: Service) -> list[str]:
    placement = service.deployment.place
    has_effect = _WITH_EFFECT.get(service.deployment.runs_on, ())
    named = ((what, getattr(placement, name)) for name, what in _NAMES_OF_PLACES.items() if name not in has_effect)
    return [f"{what} {value!r}" for what, value in named if value]

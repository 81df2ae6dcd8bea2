"""Versions of an endpoint: up to six behind one address, which share its requests (azureml-v1 reference, 2.10, 7.4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from modelport.domain.deployments import Deployment
from modelport.domain.errors import WebserviceException

MOST_VERSIONS = 6

VERSION_HEADER = "modelport-revision"
"""By this header a client may ask for a version of an endpoint, by its revision; answers carry it too."""

_WHOLE = 100.0
_ROUNDING = 1e-6
"""Percent: thirds add up to a little more than a hundred."""

_OF_VERSIONS = (
    "replicas",
    "autoscale",
    "requests_per_replica",
    "resources",
    "gpu_cores",
    "probe",
    "collects_model_data",
)
"""What a version decides; an endpoint, the rest. Of the limits, each version has those of v1's names."""
LIMITS_OF_VERSIONS = ("scoring_timeout_ms", "queue_wait_ms")


class VersionType(StrEnum):
    """A label that v1 had, without an effect on the traffic."""

    CONTROL = "Control"
    TREATMENT = "Treatment"


@dataclass(frozen=True, kw_only=True)
class EndpointVersion:
    """One version: which revision of the service it is, how that runs, and how many requests it gets."""

    name: str
    revision: int
    deployment: Deployment
    """Only what ``split_deployment`` gives to versions."""
    traffic_percentile: float = 0.0
    """Of the default version: what it would get if it were not the default one."""
    version_type: VersionType = VersionType.TREATMENT
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_time: dt.datetime
    updated_time: dt.datetime


def split_deployment(deployment: Deployment) -> tuple[Deployment, Deployment]:
    """The part that is the endpoint's, and the part that is its version's."""
    nothing: dict[str, Any] = dict.fromkeys(_OF_VERSIONS)
    of_version: dict[str, Any] = {name: getattr(deployment, name) for name in _OF_VERSIONS}
    limits = {name: value for name, value in deployment.limits.items() if name in LIMITS_OF_VERSIONS}
    others = {name: value for name, value in deployment.limits.items() if name not in LIMITS_OF_VERSIONS}
    return (
        replace(deployment, **nothing, limits=others),
        Deployment(**of_version, limits=limits),
    )


def check_versions(versions: Sequence[EndpointVersion]) -> None:
    """Raise WebserviceException for more of them than there may be, or more traffic than there is."""
    if len(versions) > MOST_VERSIONS:
        raise WebserviceException(
            f"An endpoint can have {MOST_VERSIONS} versions at most; it has "
            f"{', '.join(version.name for version in versions[:-1])} already.",
            hint="Delete one first: endpoint.delete_version(version_name=…).",
        )
    total = sum(version.traffic_percentile for version in versions)
    if total > _WHOLE + _ROUNDING:
        shares = ", ".join(f"{version.name} {version.traffic_percentile:g}" for version in versions)
        raise WebserviceException(
            f"The traffic percentiles of the versions would add up to {total:g}, more than 100: {shares}.",
            hint="Lower one of them first; what is not assigned goes to the default version.",
        )


def traffic_weights(versions: Iterable[EndpointVersion], *, default: int) -> dict[int, float]:
    """Percent of the requests by revision, without the default one, which gets the rest."""
    return {
        version.revision: version.traffic_percentile
        for version in versions
        if version.revision != default and version.traffic_percentile
    }


def with_one_control(versions: Iterable[EndpointVersion], control: str) -> tuple[EndpointVersion, ...]:
    """The versions with that one as their control, and no other."""
    return tuple(_typed(version, is_control=version.name == control) for version in versions)


def _typed(version: EndpointVersion, *, is_control: bool) -> EndpointVersion:
    if is_control:
        return replace(version, version_type=VersionType.CONTROL)
    is_other = version.version_type is VersionType.CONTROL
    return replace(version, version_type=VersionType.TREATMENT) if is_other else version


def successor(versions: Sequence[EndpointVersion], *, of: str) -> EndpointVersion | None:
    """Which version becomes the default one when that one goes: the one with most traffic, the oldest of several."""
    others = [version for version in versions if version.name != of]
    return max(others, key=lambda version: version.traffic_percentile, default=None)

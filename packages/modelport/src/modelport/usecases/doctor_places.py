"""Where services can run but on this machine as processes: whether engines and clusters answer, and what they can."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from modelport.domain.compute import Compute
from modelport.domain.deployments import RunsOn
from modelport.domain.errors import ModelportError, UserErrorException
from modelport.domain.services import ServiceFilter
from modelport.images import Platform
from modelport.targets.chooser import ACI_VARIABLE
from modelport.targets.container.addresses import ENGINE_VARIABLE, find_engine, known_engines
from modelport.targets.container.engine import Engine, EngineGone
from modelport.targets.container.facts import EngineFacts, facts_of
from modelport.usecases.checks import Check, ok, problem, warning
from modelport.usecases.clusters import nodes_of
from modelport.usecases.compute_targets import list_compute
from modelport.usecases.context import Context

_ENABLE_LIMITS = (
    "Start the machine with cgroup_enable=memory swapaccount=1; an engine without root needs control groups of version "
    "2 whose controllers are delegated to its user."
)


def engines(opened: Sequence[Context], environ: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Each engine that a variable names, whose usual socket is there, or that has services of these workspaces."""
    used = _used(opened)
    found = {**known_engines(environ), **used}
    if not found:
        yield ok("engine", "No container engine is set up: container instances run as processes of this machine")
    chosen = None if environ.get(ACI_VARIABLE) == RunsOn.PROCESS else find_engine(environ)
    for address, why in found.items():
        yield _engine(address, why, is_needed=address == chosen or address in used)


def _used(opened: Sequence[Context]) -> dict[str, str]:
    found: dict[str, str] = {}
    for context in opened:
        for service in context.registry.services(ServiceFilter()):
            if service.deployment.runs_on is RunsOn.CONTAINER and service.deployment.place.engine:
                found.setdefault(service.deployment.place.engine, f"it has {service.name!r} of {context.record.name!r}")
    return found


def _engine(address: str, why: str, *, is_needed: bool) -> Check:
    label = f"engine {address}"
    try:
        with Engine(address).connected() as client:
            facts = facts_of(client)
    except EngineGone as error:
        finding = f"{error.message} ({why})"
        return problem(label, finding, error.hint) if is_needed else warning(label, finding, error.hint)
    except ModelportError as error:
        return problem(label, error.message, error.hint or f"Name another one in {ENGINE_VARIABLE}.")
    return _judged(label, f"{facts.text} ({why})", facts)


def _judged(label: str, finding: str, facts: EngineFacts) -> Check:
    if facts.is_too_old:
        return problem(label, f"{finding}: it is too old", "Docker 20.10 or newer is needed, or Podman 4.3.")
    try:
        Platform.parse(facts.architecture)
    except UserErrorException as error:
        return problem(label, f"{finding}: {error.message}", f"Name another engine in {ENGINE_VARIABLE}.")
    if facts.without_limits:
        return warning(
            label, f"{finding}: it does not hold containers to {', '.join(facts.without_limits)}", _ENABLE_LIMITS
        )
    return ok(label, finding)


def clusters(context: Context) -> Iterator[Check]:
    """Each attached compute target whose settings name a context of the kubeconfig."""
    for compute in list_compute(context):
        if compute.settings.get("context"):
            yield _cluster(compute)


def _cluster(compute: Compute) -> Check:
    label = f"cluster {compute.name}"
    try:
        finding = nodes_of(compute.settings)
    except ModelportError as error:
        return problem(label, error.message, error.hint or "kubectl --context shows whether it works there.")
    return ok(label, f"{finding} (context {compute.settings['context']!r})")

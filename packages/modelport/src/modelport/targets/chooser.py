"""Which target a service has: by its kind and its place, both kept in its row.

A target is made when the first service asks for it, so that a workspace without containers or clusters needs no client
of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from modelport.domain.deployments import ComputeType, Placement, RunsOn
from modelport.domain.errors import WebserviceException
from modelport.targets.container.addresses import ENGINE_VARIABLE, find_engine
from modelport.targets.interface import Placed, Target

ACI_VARIABLE = "MODELPORT_ACI"
"""What container instances are, whatever the workspace says: ``container``, ``process`` or ``auto``."""
ACI_CHOICES = (RunsOn.CONTAINER.value, RunsOn.PROCESS.value, "auto")

_NO_ENGINE = (
    "No container engine is set up on this machine, so that it runs as processes. (Install Docker or Podman, or name "
    f"one that runs elsewhere in {ENGINE_VARIABLE}, and deploy it again.)"
)

Maker = Callable[[Placement], Target]
"""Makes the target of a place: of a container's engine, or of a cluster's context."""


class TargetChooser:
    """The targets of one workspace."""

    def __init__(self, makers: Mapping[RunsOn, Maker], *, environ: Mapping[str, str] = os.environ) -> None:
        self._makers = makers
        self._environ = environ
        self._made: dict[tuple[str | None, ...], Target] = {}

    def of(self, compute_type: str, placement: Placement) -> Target:
        """The target of that kind, there. Raises WebserviceException for a kind or a place that this Modelport does not
        know."""
        runs_on = placement.runs_on or RunsOn.PROCESS
        if compute_type not in {kind.value for kind in ComputeType} or runs_on not in self._makers:
            raise WebserviceException(
                f"There is no target of compute type {compute_type!r} that runs services as {runs_on}.",
                hint=f"This Modelport has: {', '.join(ComputeType)}; as {', '.join(self._makers)}.",
            )
        where = (runs_on, placement.engine, placement.context, placement.context and placement.compute_name)
        if where not in self._made:
            self._made[where] = self._makers[runs_on](placement)
        return self._made[where]

    def place(self, compute_type: str, placement: Placement, *, aci: str | None = None) -> Placed:
        """A container instance: what the variable says, else the workspace, else a container where an engine is set up.
        A cluster's service: that cluster where a context leads there. All others, on this machine as processes.

        Raises WebserviceException where a container is asked for and no engine is set up.
        """
        kind = ComputeType(compute_type)
        if placement.runs_on is not None or kind is ComputeType.LOCAL:
            return Placed(placement=placement)
        if kind is ComputeType.ACI:
            return self._container_instance(placement, aci or "auto")
        if placement.context is not None:
            return Placed(placement=replace(placement, runs_on=RunsOn.KUBERNETES))
        return Placed(placement=placement)

    def _container_instance(self, placement: Placement, of_workspace: str) -> Placed:
        asked = self._environ.get(ACI_VARIABLE, "").strip().lower() or of_workspace
        check_aci(asked, where=ACI_VARIABLE)
        if asked == RunsOn.PROCESS:
            return Placed(placement=placement)
        engine = placement.engine or find_engine(self._environ)
        if engine is not None:
            return Placed(placement=replace(placement, runs_on=RunsOn.CONTAINER, engine=engine))
        if asked == RunsOn.CONTAINER:
            raise WebserviceException(
                "The service is to run in a container, and no container engine is set up on this machine.",
                hint=f"Install Docker or Podman and start its service, name one in {ENGINE_VARIABLE}, or have "
                f"container instances run as processes: {ACI_VARIABLE}=process, which counts first, or "
                "modelport workspace update --aci process.",
            )
        return Placed(placement=placement, notes=(_NO_ENGINE,))


def check_aci(asked: str, *, where: str) -> None:
    """Raise WebserviceException for what container instances cannot be."""
    if asked not in ACI_CHOICES:
        raise WebserviceException(
            f"Invalid {where} {asked!r}: it must be one of {', '.join(ACI_CHOICES)}.",
        )

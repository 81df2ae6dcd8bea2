"""What the local target would do for a service: a value that can be printed and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport.domain.services import Service
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.service import Trust, service_settings
from modelport_scoring import ServiceSettings
from modelport_scoring.settings.traffic import without


@dataclass(frozen=True, kw_only=True)
class LocalPlan:
    """The folder of the service and the content of its ``service.json``."""

    folder: Path
    settings: ServiceSettings


def plan(
    service: Service,
    *,
    workspace: str,
    folder: Path,
    bundles: Mapping[int, Path],
    trust: Trust | None = None,
    model_data: ModelData | None = None,
) -> LocalPlan:
    """The plan for running the service in ``folder``, as ``service_settings`` tells it."""
    settings = service_settings(service, workspace=workspace, bundles=bundles, trust=trust, model_data=model_data)
    return LocalPlan(folder=folder, settings=settings)


def with_hosted(settings: ServiceSettings, *, present: ServiceSettings | None) -> ServiceSettings:
    """The settings of a start, with what the scoring server keeps in its file: the revisions that are hosted beside
    the default one, how requests are divided among them, and a number of workers that a revision has of its own."""
    if present is None or settings.others:
        return settings
    default = settings.revision
    kept = next((known for known in present.revisions if known.number == default.number), None)
    if kept is not None:
        default = msgspec.structs.replace(default, workers=kept.workers, autoscale=kept.autoscale)
    traffic = present.traffic
    if default.number != present.revision.number:
        for number in (default.number, present.revision.number):
            traffic = without(traffic, number)
    others = [revision for revision in present.others if revision.number != default.number]
    return msgspec.structs.replace(settings, revision=default, others=others, traffic=traffic)

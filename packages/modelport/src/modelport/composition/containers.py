"""The target of services in containers, with what makes their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelport.domain.deployments import Placement
from modelport.domain.progress import Progress
from modelport.domain.workspaces import WorkspaceRecord
from modelport.images import ImageSettings, Platform, build_image, write_docker_archive
from modelport.targets.container.driver import ContainerTarget
from modelport.targets.container.image import ServiceImage
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.service import Trust


def container_target(
    place: Placement,
    *,
    record: WorkspaceRecord,
    folder: Path,
    home: Path,
    trust: Trust,
    model_data: ModelData,
    progress: Progress,
) -> ContainerTarget:
    """The target of services on the engine that is named there."""
    return ContainerTarget(
        str(place.engine),
        root=folder / "instances",
        workspace=record.name,
        workspace_id=record.id,
        build=_image_builder(record.name, home, progress),
        trust=trust,
        model_data=model_data,
    )


def _image_builder(workspace: str, home: Path, progress: Progress) -> Callable[[str, Path, str], ServiceImage]:
    def build(service: str, bundle: Path, architecture: str) -> ServiceImage:
        settings = ImageSettings(
            name=service, workspace=workspace, has_variables=False, platform=Platform.parse(architecture)
        )
        built = build_image(bundle, settings=settings, cache=home / "images", progress=progress)
        return ServiceImage(
            config_digest=built.config_digest,
            diff_ids=tuple(layer.diff_id for layer in built.layers),
            write=lambda reference, file, without: write_docker_archive(built, reference, file, without=without),
        )

    return build

"""The ways to run a service. Clients of engines and clusters are loaded when the first service needs one."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.deployments import Placement, RunsOn
from modelport.domain.progress import Progress
from modelport.domain.tokens import TokenTrust
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.interface import MetadataStore
from modelport.targets.chooser import TargetChooser
from modelport.targets.interface import Target
from modelport.targets.local import LocalTarget
from modelport.targets.serving.model_data import ModelData
from modelport.usecases.datastores import model_data_folder, path_of_workspace
from modelport.usecases.tokens import trust


def targets_of(
    folder: Path, registry: MetadataStore, record: WorkspaceRecord, *, home: Path, progress: Progress
) -> TargetChooser:
    """The workspace's, each made when a service asks for it."""

    def trusted(service: str) -> TokenTrust:
        return trust(registry, record, service)

    model_data = ModelData(folder=str(model_data_folder(folder)), workspace=path_of_workspace(record))

    def process(_place: Placement) -> Target:
        return LocalTarget(folder / "services", workspace=record.name, trust=trusted, model_data=model_data)

    def kubernetes(place: Placement) -> Target:
        from modelport.composition.clusters import cluster_target  # noqa: PLC0415 - clients of clusters take long to load

        return cluster_target(
            place, record=record, registry=registry, folder=folder, home=home, trust=trusted, progress=progress
        )

    def container(place: Placement) -> Target:
        from modelport.composition.containers import container_target  # noqa: PLC0415 - docker-py takes long to load

        return container_target(
            place, record=record, folder=folder, home=home, trust=trusted, model_data=model_data, progress=progress
        )

    return TargetChooser({RunsOn.PROCESS: process, RunsOn.CONTAINER: container, RunsOn.KUBERNETES: kubernetes})

"""What a use case works with: one workspace's stores, environments and targets, wired by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modelport.domain.deployments import Deployment
from modelport.domain.errors import WebserviceException
from modelport.domain.progress import Progress, Silent
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.workspaces import WorkspaceRecord
from modelport.environments.interface import Environments
from modelport.storage.interface import MetadataStore, ObjectStore
from modelport.targets.interface import Target, Targets


@dataclass(frozen=True, kw_only=True)
class Context:
    """One open workspace."""

    record: WorkspaceRecord
    folder: Path
    """Where this machine keeps the workspace's bundles and services."""
    registry: MetadataStore
    objects: ObjectStore
    environments: Environments
    targets: Targets
    progress: Progress = field(default_factory=Silent)

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    @property
    def images(self) -> Path:
        """Where layers of images are kept, for all workspaces of the home."""
        return self.folder.parent.parent / "images"

    def target(self, service: Service) -> Target:
        """The target where the service runs. Raises WebserviceException where this Modelport has none."""
        return self.target_of(service.compute_type, service.deployment)

    def target_of(self, compute_type: str, deployment: Deployment) -> Target:
        """``target`` of a service that is to be."""
        return self.targets.of(compute_type, deployment.place)

    def service(self, name: str) -> Service:
        """The service. Raises WebserviceException (``WebserviceNotFound``)."""
        service = self.registry.service(name)
        if service is None:
            known = ", ".join(repr(service.name) for service in self.registry.services(ServiceFilter()))
            raise WebserviceException(
                f"WebserviceNotFound: the workspace {self.record.name!r} has no service named {name!r}.",
                hint=f"It has: {known}." if known else "It has no services.",
            )
        return service

"""What the manifests of a service are about: its names, labels, and the groups of pods that serve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelport.domain.deployments import Deployment, Placement, merged, path_prefix
from modelport.domain.endpoints import EndpointVersion
from modelport.domain.errors import UserErrorException
from modelport.domain.services import Revision, Service
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.names import Names, label_value, namespace_of
from modelport.targets.kubernetes.settings import ClusterSettings, Expose, ServingImage

Manifest = dict[str, Any]

PREFIX = "modelport.dev"
SERVICE_LABEL = f"{PREFIX}/service"
WORKSPACE_LABEL = f"{PREFIX}/workspace"
WORKSPACE_ID_LABEL = f"{PREFIX}/workspace-id"
VERSION_LABEL = f"{PREFIX}/version"
REVISION_LABEL = f"{PREFIX}/revision"

SERVING = "scoring"
ROUTER = "router"
"""Values of app.kubernetes.io/component."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Pods that are alike: one Deployment."""

    name: str
    revision: Revision
    version: EndpointVersion | None
    deployment: Deployment
    """With what the version decides."""
    image: ServingImage
    settings_secret: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One service in one cluster."""

    service: Service
    workspace: str
    workspace_id: str
    images: Mapping[int, ServingImage]
    cluster: ClusterFacts
    settings: ClusterSettings
    data_path: str = ""
    """Of the workspace, in the paths of collected model data; its name without."""

    @property
    def deployment(self) -> Deployment:
        return self.service.deployment

    @property
    def names(self) -> Names:
        given = (self.deployment.placement or Placement()).namespace or self.settings.namespace
        return Names(
            service=self.service.name,
            workspace_id=self.workspace_id,
            namespace=given or namespace_of(self.workspace, self.workspace_id),
            is_shared=given is not None,
        )

    # --- labels -------------------------------------------------------------------------------------------------------

    @property
    def workspace_labels(self) -> dict[str, str]:
        """Of everything that is the workspace's."""
        return {
            "app.kubernetes.io/managed-by": "modelport",
            WORKSPACE_LABEL: label_value(self.workspace),
            WORKSPACE_ID_LABEL: self.workspace_id,
        }

    @property
    def labels(self) -> dict[str, str]:
        """Of everything that is the service's."""
        return {
            "app.kubernetes.io/name": "modelport",
            "app.kubernetes.io/instance": self.names.base,
            "app.kubernetes.io/part-of": "modelport",
            **self.workspace_labels,
            SERVICE_LABEL: self.service.name,
        }

    def unit_labels(self, unit: Unit) -> dict[str, str]:
        """Of one version's objects. The revision changes with every roll-out: nothing selects by it."""
        version = {} if unit.version is None else {VERSION_LABEL: unit.version.name}
        return {
            **self.labels,
            "app.kubernetes.io/component": SERVING,
            **version,
            REVISION_LABEL: str(unit.revision.number),
        }

    @property
    def service_selector(self) -> dict[str, str]:
        """Which pods are the service's: a Deployment's selector never changes, so it has only what never does."""
        return {"app.kubernetes.io/name": "modelport", "app.kubernetes.io/instance": self.names.base}

    def unit_selector(self, unit: Unit) -> dict[str, str]:
        version = {} if unit.version is None else {VERSION_LABEL: unit.version.name}
        return {**self.service_selector, "app.kubernetes.io/component": SERVING, **version}

    @property
    def router_selector(self) -> dict[str, str]:
        return {**self.service_selector, "app.kubernetes.io/component": ROUTER}

    # --- what serves it -----------------------------------------------------------------------------------------------

    @property
    def units(self) -> tuple[Unit, ...]:
        """Of an endpoint, one for each version; of other services, one."""
        if not self.service.versions:
            return (self._unit(self.names.base, self.service.active, None, self.deployment),)
        return tuple(
            self._unit(
                self.names.version(version.name),
                self.service.revision(version.revision),
                version,
                merged(self.deployment, version.deployment),
            )
            for version in self.service.versions
        )

    def _unit(self, name: str, revision: Revision, version: EndpointVersion | None, deployment: Deployment) -> Unit:
        image = self.images.get(revision.number)
        if image is None:
            raise UserErrorException(f"Revision {revision.number} of service {self.service.name!r} has no image.")
        return Unit(
            name=name,
            revision=revision,
            version=version,
            deployment=replace(deployment, placement=self.deployment.placement),
            image=image,
            settings_secret=self._settings_secret(revision.number),
        )

    def _settings_secret(self, revision: int) -> str:
        """One that somebody else keeps has the name that was given; of an endpoint, with the revision behind it."""
        given = self.settings.settings_secret
        if given is None:
            return self.names.settings_secret(revision)
        return f"{given}-r{revision}" if self.service.versions else given

    @property
    def has_router(self) -> bool:
        """Whether Modelport's own router stands before the versions."""
        return bool(self.service.versions) and not self.uses_gateway

    @property
    def uses_gateway(self) -> bool:
        return self.settings.expose is Expose.GATEWAY

    @property
    def speaks_tls(self) -> bool:
        """Whether the pods that clients reach show the certificate; else what is before them does, or nobody."""
        is_behind = self.settings.kserve or self.settings.expose in (Expose.INGRESS, Expose.GATEWAY)
        return bool(self.deployment.ssl_enabled) and not is_behind

    @property
    def path_prefix(self) -> str:
        return path_prefix(self.service.compute_type, self.service.name)

    def manifest(
        self,
        kind: str,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Manifest:
        """An object of the service's namespace."""
        metadata: dict[str, Any] = {"name": name, "namespace": self.names.namespace}
        metadata["labels"] = dict(self.labels if labels is None else labels)
        if annotations:
            metadata["annotations"] = dict(annotations)
        return {"apiVersion": self.cluster.api_version(kind), "kind": kind, "metadata": metadata, **content}

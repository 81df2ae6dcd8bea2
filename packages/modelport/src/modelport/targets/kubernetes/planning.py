"""The plan of a service: of what it is to be, and of what the cluster has of it already."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelport.domain.services import Service
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.images import Images
from modelport.targets.kubernetes.names import Names
from modelport.targets.kubernetes.plan import KubernetesPlan, plan
from modelport.targets.kubernetes.settings import Certificate, ClusterSettings
from modelport.targets.kubernetes.subject import ROUTER, SERVICE_LABEL, WORKSPACE_ID_LABEL, Subject
from modelport.targets.serving.certificates import COPIES
from modelport.targets.serving.service import Trust


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the objects of a service are."""

    namespace: str
    selector: Mapping[str, str]
    names: Names


class Planning:
    """Plans for the services of one workspace in one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        facts: ClusterFacts,
        *,
        folder: Path,
        workspace: str,
        workspace_id: str,
        images: Images,
        settings: ClusterSettings,
        trust: Trust | None,
        data_path: str,
    ) -> None:
        self._cluster = cluster
        self._facts = facts
        self._folder = folder
        self._workspace = workspace
        self._workspace_id = workspace_id
        self._images = images
        self._settings = settings
        self._trust = trust
        self._data_path = data_path

    def plan(self, service: Service, *, starts: bool = False) -> KubernetesPlan:
        """Everything that the cluster is to have of the service; where it ``starts``, with images as this Modelport
        makes them. Raises ModelportError where the cluster does not answer, or an image cannot be made."""
        hosted = {version.revision for version in service.versions} or {service.active_revision}
        return plan(
            service,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            images={number: self._images.image(service, number, starts=starts) for number in sorted(hosted)},
            cluster=self._facts,
            settings=self._settings_for(service),
            trust=self._trust,
            data_path=self._data_path,
            certificate_files=self._certificate(service),
        )

    def place(self, service: Service) -> Place:
        """Where the objects of the service are, or will be."""
        subject = Subject(
            service=service,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            images={},
            cluster=self._facts,
            settings=self._settings,
        )
        selector = {WORKSPACE_ID_LABEL: self._workspace_id, SERVICE_LABEL: service.name}
        return Place(namespace=subject.names.namespace, selector=selector, names=subject.names)

    def _settings_for(self, service: Service) -> ClusterSettings:
        """The target's. A router that runs keeps its image, whichever version is the default one: pods that end while a
        version goes would still send requests to it."""
        if not service.versions or self._settings.router_image is not None:
            return self._settings
        place = self.place(service)
        running = self._cluster.get("apps/v1/Deployment", place.names.base, namespace=place.namespace)
        containers = [] if running is None else running["spec"]["template"]["spec"]["containers"]
        image = next((each["image"] for each in containers if each["name"] == ROUTER), None)
        return replace(self._settings, router_image=image)

    def _certificate(self, service: Service) -> Certificate | None:
        """The files that were kept here; on another machine, those that the cluster has. What cert-manager has made is
        its own to renew."""
        if not service.deployment.ssl_enabled:
            return None
        folder = self._folder / service.name
        if (folder / COPIES.certificate).is_file():
            return Certificate(
                certificate=(folder / COPIES.certificate).read_bytes(), key=(folder / COPIES.key).read_bytes()
            )
        place = self.place(service)
        secret = self._cluster.get("v1/Secret", place.names.tls_secret, namespace=place.namespace)
        is_ours = secret is not None and place.selector.items() <= secret["metadata"].get("labels", {}).items()
        return None if secret is None or (self._settings.cert_issuer and not is_ours) else _certificate_in(secret)


def _certificate_in(secret: Mapping[str, Any]) -> Certificate:
    files = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    return Certificate(certificate=files["tls.crt"], key=files["tls.key"])

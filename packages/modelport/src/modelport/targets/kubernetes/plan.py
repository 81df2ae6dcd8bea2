"""Which objects a service is in a cluster: values that can be printed, applied, and tested without one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelport.domain.services import Service
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.kserve import inference_service
from modelport.targets.kubernetes.network import http_route, ingress, network_policies, services
from modelport.targets.kubernetes.router import router
from modelport.targets.kubernetes.secrets import certificate, owner, settings_secrets
from modelport.targets.kubernetes.settings import Certificate, ClusterSettings, Expose, ServingImage
from modelport.targets.kubernetes.subject import SERVICE_LABEL, WORKSPACE_ID_LABEL, Manifest, Subject
from modelport.targets.kubernetes.workloads import workload
from modelport.targets.serving.service import Trust

POD_SECURITY_STANDARD = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
"""Labels by which a namespace refuses pods that are not restricted."""


@dataclass(frozen=True, kw_only=True)
class KubernetesPlan:
    """The objects of one service, in the order in which they are applied."""

    namespace: str
    name: str
    """Of the owner, the exposed Service, and the Deployment of a service without versions."""
    selector: Mapping[str, str]
    """Labels that every object of the service has, and no other."""
    namespace_object: Manifest | None
    """None: the namespace was given, and is somebody else's."""
    lasting: tuple[Manifest, ...]
    """Objects that outlive the service: claims with what it has collected. Made where missing, never changed."""
    owner: Manifest
    """Whoever deletes it, deletes all that ``owned`` gives."""
    belongings: tuple[Manifest, ...]
    """Without the reference to their owner, which has an id only once it is there."""
    deployments: Mapping[int, str]
    """Names of the Deployments of the revisions that serve; with KServe, of the InferenceService."""

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All, without references to the owner: what is printed for GitOps, whose tools delete by themselves."""
        first = () if self.namespace_object is None else (self.namespace_object,)
        return (*first, *self.lasting, self.owner, *self.belongings)

    def owned(self, uid: str) -> tuple[Manifest, ...]:
        """The belongings, each with a reference to the owner, which is there and has that id."""
        reference = {
            "apiVersion": self.owner["apiVersion"],
            "kind": self.owner["kind"],
            "name": self.name,
            "uid": uid,
        }
        found = copy.deepcopy(self.belongings)
        for manifest in found:
            manifest["metadata"]["ownerReferences"] = [reference]
        return found


def plan(
    service: Service,
    *,
    workspace: str,
    workspace_id: str,
    images: Mapping[int, ServingImage],
    cluster: ClusterFacts,
    settings: ClusterSettings | None = None,
    trust: Trust | None = None,
    certificate_files: Certificate | None = None,
    data_path: str = "",
) -> KubernetesPlan:
    """The plan for a service whose revisions have these images, by their numbers. ``data_path`` is the workspace's part
    of the paths of collected model data (azureml-v1 reference, 11); its name without.

    Raises UserErrorException for what the cluster cannot do, or no scoring server would take.
    """
    subject = Subject(
        service=service,
        workspace=workspace,
        workspace_id=workspace_id,
        images=images,
        cluster=cluster,
        settings=settings or ClusterSettings(),
        data_path=data_path,
    )
    return KubernetesPlan(
        namespace=subject.names.namespace,
        name=subject.names.base,
        selector={WORKSPACE_ID_LABEL: workspace_id, SERVICE_LABEL: service.name},
        namespace_object=None if subject.names.is_shared else _namespace(subject),
        lasting=tuple(_model_data(subject)),
        owner=owner(subject),
        belongings=tuple(_belongings(subject, trust=trust, certificate_files=certificate_files)),
        deployments={unit.revision.number: unit.name for unit in subject.units},
    )


def _namespace(subject: Subject) -> Manifest:
    labels = {**subject.workspace_labels, "app.kubernetes.io/part-of": "modelport", **POD_SECURITY_STANDARD}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": subject.names.namespace, "labels": labels}}


def _model_data(subject: Subject) -> Iterator[Manifest]:
    """The workspace's claim for collected model data: pods of several nodes write into it."""
    if not any(unit.deployment.collects_model_data for unit in subject.units):
        return
    storage_class = subject.settings.storage_class
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteMany"],
        **({"storageClassName": storage_class} if storage_class else {}),
        "resources": {"requests": {"storage": "10Gi"}},
    }
    labels = {**subject.workspace_labels, "app.kubernetes.io/part-of": "modelport"}
    yield subject.manifest("PersistentVolumeClaim", subject.names.model_data_claim, labels=labels, spec=spec)


def _belongings(subject: Subject, *, trust: Trust | None, certificate_files: Certificate | None) -> Iterator[Manifest]:
    """In an order in which each finds what it names: accounts and Secrets, policies, pods, and the way to them."""
    yield subject.manifest("ServiceAccount", subject.names.base, automountServiceAccountToken=False)
    yield from settings_secrets(subject, trust=trust)
    yield from certificate(subject, certificate_files)
    yield from network_policies(subject)
    if subject.settings.kserve:
        yield from inference_service(subject)
    else:
        yield from _pods_and_ways_to_them(subject)


def _pods_and_ways_to_them(subject: Subject) -> Iterator[Manifest]:
    yield from services(subject)
    for unit in subject.units:
        yield from workload(subject, unit)
    if subject.has_router:
        yield from router(subject)
    if subject.settings.expose is Expose.INGRESS:
        yield ingress(subject)
    if subject.settings.expose is Expose.GATEWAY:
        yield http_route(subject)

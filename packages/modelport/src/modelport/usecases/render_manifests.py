"""A service's manifests without a cluster: for those who keep them in a repository."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelport.domain.compute import KIND, Compute
from modelport.domain.deployments import ComputeType, Deployment, Placement, with_defaults
from modelport.domain.endpoints import EndpointVersion, split_deployment
from modelport.domain.errors import UserErrorException
from modelport.domain.names import check_service_name
from modelport.domain.services import DesiredState, InferenceConfiguration, Keys, Revision, Service
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.plan import KubernetesPlan, plan
from modelport.targets.kubernetes.settings import Certificate, ClusterSettings, ServingImage
from modelport.targets.serving.certificates import COPIES
from modelport.targets.serving.settings import check_deployment
from modelport.usecases.cluster_settings import cluster_settings
from modelport.usecases.context import Context
from modelport.usecases.datastores import path_of_workspace
from modelport.usecases.tokens import trust

_NEVER = dt.datetime.fromtimestamp(0, dt.UTC)

_CLUSTERED = (ComputeType.AKS, ComputeType.AKS_ENDPOINT)


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """What is to be printed."""

    name: str
    kind: ComputeType = ComputeType.AKS
    deployment: Deployment | None = None
    """None: as the service of that name was deployed."""
    keys: Keys | None = None
    """None: those of the service of that name, if there is one."""
    version_name: str | None = None
    """Of the version of an endpoint."""
    images: Mapping[str | None, ServingImage]
    """By the names of versions; of other services, by None."""
    cluster: ClusterFacts
    given: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``ClusterSettings``, in the place of what the service's compute target was attached with."""
    certificate: Certificate | None = None


def render_manifests(context: Context, request: RenderRequest) -> KubernetesPlan:
    """The plan for the service, which need not be deployed.

    Raises UserErrorException where something is missing that the manifests must have.
    """
    service = _service(context, request)
    settings = replace(_attached(context, service.deployment), **request.given)
    return plan(
        service,
        workspace=context.record.name,
        workspace_id=context.record.id,
        images=_images(service, request.images),
        cluster=request.cluster,
        settings=settings,
        trust=lambda name: trust(context.registry, context.record, name),
        certificate_files=request.certificate or _kept_certificate(context, service),
        data_path=path_of_workspace(context.record),
    )


def _kept_certificate(context: Context, service: Service) -> Certificate | None:
    """The copies that the workspace has of a service that was deployed with them."""
    files = [context.folder / "services" / service.name / file for file in (COPIES.certificate, COPIES.key)]
    if not service.deployment.ssl_enabled or not all(file.is_file() for file in files):
        return None
    certificate, key = (file.read_bytes() for file in files)
    return Certificate(certificate=certificate, key=key)


def _attached(context: Context, deployment: Deployment) -> ClusterSettings:
    """The settings of the compute target, where it is attached."""
    name = (deployment.placement or Placement()).compute_name
    asset = None if name is None else context.registry.asset(KIND, name)
    return ClusterSettings() if asset is None else cluster_settings(Compute.from_asset(asset).settings)


def _service(context: Context, request: RenderRequest) -> Service:
    present = context.registry.service(request.name)
    if request.deployment is not None:
        return _imagined(request, request.deployment, keys=request.keys or (present.keys if present else None))
    if present is None:
        raise UserErrorException(
            f"There is no service {request.name!r} in the workspace {context.record.name!r}.",
            hint="Give a deployment configuration (--dc) to print the manifests of a service that is not deployed.",
        )
    if present.compute_type not in _CLUSTERED:
        raise UserErrorException(
            f"The service {present.name!r} is of type {present.compute_type}, which no cluster runs.",
            hint="Give a deployment configuration (--dc) with computeType aks.",
        )
    return present


def _imagined(request: RenderRequest, deployment: Deployment, *, keys: Keys | None) -> Service:
    """The service as it would be after a deployment; nothing of it depends on the day."""
    check_service_name(request.name)
    whole = with_defaults(deployment, request.kind)
    check_deployment(whole)
    if whole.auth_enabled and keys is None and request.given.get("settings_secret") is None:
        raise UserErrorException(
            f"The service {request.name!r} asks for keys, and none are given: keys that are made up would be others "
            "each time.",
            hint="Give both in the deployment configuration (keys: primaryKey, secondaryKey); or name a Secret that "
            "has service.json (--settings-secret); or say authEnabled: false.",
        )
    version = request.version_name or request.name
    of_endpoint, of_version = split_deployment(whole)
    is_endpoint = request.kind is ComputeType.AKS_ENDPOINT
    versions = EndpointVersion(
        name=version, revision=1, deployment=of_version, created_time=_NEVER, updated_time=_NEVER
    )
    return Service(
        name=request.name,
        compute_type=request.kind,
        deployment=of_endpoint if is_endpoint else whole,
        desired_state=DesiredState.RUNNING,
        revisions=(_revision(request),),
        active_revision=1,
        versions=(versions,) if is_endpoint else (),
        created_time=_NEVER,
        updated_time=_NEVER,
        keys=keys,
    )


def _revision(request: RenderRequest) -> Revision:
    """What an image holds, this machine need not know; an archive's digest it is told."""
    fetch = next((image.fetch for image in request.images.values() if image.fetch is not None), None)
    return Revision(
        number=1,
        bundle_digest="" if fetch is None else fetch.bundle.digest,
        model_ids=(),
        inference=InferenceConfiguration(entry_script=""),
        environment_name="",
        environment_version=None,
        lock_digest="",
        interpreter=(),
        keeps_python_path=False,
        environment_variables={},
        created_time=_NEVER,
    )


def _images(service: Service, given: Mapping[str | None, ServingImage]) -> dict[int, ServingImage]:
    """By revision; one image without a version's name is that of all versions that have none of their own."""
    names: list[tuple[str | None, int]] = [(version.name, version.revision) for version in service.versions]
    wanted = names or [(None, service.active_revision)]
    unknown = set(given) - {name for name, _ in wanted} - {None}
    missing = [str(name) for name, _ in wanted if name not in given and None not in given]
    if unknown or missing:
        known = ", ".join(str(name) for name, _ in names) or "none: it is no endpoint"
        what = f"no image for {', '.join(missing)}" if missing else f"an image for {', '.join(map(str, unknown))}"
        raise UserErrorException(
            f"There is {what}. The versions of {service.name!r} are: {known}.", hint="Give --image VERSION=REFERENCE."
        )
    return {revision: given.get(name) or given[None] for name, revision in wanted}

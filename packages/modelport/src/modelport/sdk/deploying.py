"""From the arguments of ``Model.deploy`` to the use case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from modelport.domain.deployments import ComputeType, Placement, merged
from modelport.domain.errors import WebserviceException
from modelport.domain.services import Service
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.aks_configuration import AksEndpointDeploymentConfiguration, AksServiceDeploymentConfiguration
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.sdk.deployment_configuration import DeploymentConfiguration, texts
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.kinds import check_workspace
from modelport.sdk.local_configuration import LocalDeploymentConfiguration
from modelport.sdk.new_revision import first_revision
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.prepare_revision import RevisionSource
from modelport.usecases.reload import source_again

if TYPE_CHECKING:
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace

_CONFIGURATIONS = (
    LocalDeploymentConfiguration,
    AciServiceDeploymentConfiguration,
    AksServiceDeploymentConfiguration,
)


def deploy_service(
    workspace: Workspace,
    name: str,
    model_ids: Sequence[str],
    *,
    inference_config: InferenceConfig | None,
    deployment_config: DeploymentConfiguration | None,
    deployment_target: object,
    overwrite: bool,
    show_output: bool,
) -> Webservice:
    """What ``Model.deploy`` promises."""
    check_workspace(workspace)
    configuration = chosen_configuration(workspace, name, deployment_config, deployment_target)
    configuration.validate_configuration()
    _cluster(workspace, configuration, deployment_target)
    return deploy_revision(
        workspace,
        name,
        first_revision(workspace.context, model_ids, inference_config),
        deployment_config=configuration,
        deployment_target=deployment_target,
        overwrite=overwrite,
        description=None if inference_config is None else inference_config.description,
        needs_gpu=inference_config is not None and bool(inference_config.enable_gpu),
    )


def promote(
    workspace: Workspace,
    service: Service,
    name: str,
    *,
    deployment_config: DeploymentConfiguration | None,
    deployment_target: object,
) -> Webservice:
    """Deploy what the service runs as one of a cloud's kind, on this machine. Under its own name it becomes one itself.

    Raises WebserviceException for the configuration of a service on this machine, and what ``Model.deploy`` raises.
    """
    if deployment_config is None and deployment_target is None:
        deployment_config = AciServiceDeploymentConfiguration()
    configuration = chosen_configuration(workspace, name, deployment_config, deployment_target)
    if configuration.compute_type is ComputeType.LOCAL:
        raise WebserviceException(
            f"The service {service.name!r} runs on this machine already: deploy_to_cloud needs another configuration.",
            hint="Give AciWebservice.deploy_configuration(…) or AksWebservice.deploy_configuration(…).",
        )
    return deploy_revision(
        workspace,
        name,
        source_again(workspace.context, service.active),
        deployment_config=configuration,
        deployment_target=deployment_target,
        overwrite=name == service.name,
    )


def deploy_revision(
    workspace: Workspace,
    name: str,
    revision: RevisionSource,
    *,
    deployment_config: DeploymentConfiguration | None,
    deployment_target: object,
    overwrite: bool,
    description: str | None = None,
    needs_gpu: bool = False,
) -> Webservice:
    """Deploy what a revision is to be made of, code or an image, where configuration and target say.

    ``needs_gpu`` is asked of this machine for its own services only: in a cloud it chose an image, and no hardware.
    """
    context = workspace.context
    configuration = chosen_configuration(workspace, name, deployment_config, deployment_target)
    configuration.validate_configuration()
    cluster = _cluster(workspace, configuration, deployment_target)
    for note in configuration.notes():
        context.progress.step(note)
    request = replace(_request(name, revision, configuration, cluster), overwrite=overwrite)
    request = replace(request, description=request.description or description)
    if needs_gpu and configuration.compute_type is ComputeType.LOCAL:
        gpu_cores = request.deployment.gpu_cores or 1
        request = replace(request, deployment=replace(request.deployment, gpu_cores=gpu_cores))
    return workspace.webservice(deploy(context, request))


def _request(
    name: str, revision: RevisionSource, configuration: DeploymentConfiguration, cluster: AksCompute | None
) -> DeployRequest:
    deployment = configuration.to_deployment()
    if cluster is not None:
        deployment = merged(deployment, cluster.to_deployment())
    request = DeployRequest(
        name=name,
        compute_type=configuration.compute_type.value,
        revision=revision,
        deployment=deployment,
        primary_key=configuration.primary_key,
        secondary_key=configuration.secondary_key,
        description=configuration.description,
        tags=texts(configuration.tags) or {},
        properties=texts(configuration.properties, what="properties") or {},
    )
    if not isinstance(configuration, AksEndpointDeploymentConfiguration):
        return request
    return replace(
        request, version_name=configuration.version_name, traffic_percentile=configuration.traffic_percentile
    )


def chosen_configuration(
    workspace: Workspace, name: str, given: DeploymentConfiguration | None, deployment_target: object = None
) -> DeploymentConfiguration:
    """The configuration, which says what kind of service is to be. Without one: a cluster's where a target is given,
    the same kind as a service of that name has, and one of this machine where there is none. (v1 had a container
    instance's then: ``modelport.sdk.v1.model``.)

    Raises WebserviceException for what is no deployment configuration.
    """
    if given is None:
        present = workspace.registry.service(name)
        return _like(present) if deployment_target is None else AksServiceDeploymentConfiguration()
    if not isinstance(given, _CONFIGURATIONS):
        raise WebserviceException(
            f"The deployment configuration is of type {type(given).__name__}.",
            hint="Make one: deploy_configuration() of LocalWebservice, AciWebservice, AksWebservice or AksEndpoint.",
        )
    return given


def _like(present: Service | None) -> DeploymentConfiguration:
    """One that asks for nothing."""
    if present is None or present.compute_type == ComputeType.LOCAL:
        return LocalDeploymentConfiguration()
    if present.compute_type == ComputeType.ACI:
        return AciServiceDeploymentConfiguration()
    cluster = (present.deployment.placement or Placement()).compute_name
    if present.compute_type == ComputeType.AKS:
        return AksServiceDeploymentConfiguration(compute_target_name=cluster)
    default = present.default_version
    return AksEndpointDeploymentConfiguration(
        compute_target_name=cluster, version_name=default.name if default else None
    )


def _cluster(
    workspace: Workspace, configuration: DeploymentConfiguration, deployment_target: object
) -> AksCompute | None:
    """The cluster that is meant: of services that need one. Raises WebserviceException where configuration and target
    do not fit, or no target is named."""
    needs_one = isinstance(configuration, AksServiceDeploymentConfiguration)
    named = getattr(configuration, "compute_target_name", None)
    target = deployment_target if deployment_target is not None else named
    if not needs_one:
        if target is None:
            return None
        raise WebserviceException(
            f"The deployment configuration is for {configuration.compute_type}, and the deployment target "
            f"{_name(target)} is not: their types do not match.",
            hint="Leave deployment_target out, or give AksWebservice.deploy_configuration().",
        )
    if target is None:
        raise WebserviceException(
            f"A deployment of type {configuration.compute_type} needs a compute target.",
            hint="Give deployment_target=AksCompute(workspace, name), or compute_target_name in the configuration. "
            "Make one: ComputeTarget.create(workspace, name, AksCompute.provisioning_configuration()).",
        )
    found = target if isinstance(target, ComputeTarget) else ComputeTarget(workspace, str(target))
    if not isinstance(found, AksCompute):
        raise WebserviceException(
            f"The deployment configuration is for {configuration.compute_type}, and the compute target {found.name!r} "
            f"is of type {found.type}: their types do not match.",
            hint="Web services run on a target of type AKS: AksCompute.",
        )
    return found


def _name(target: object) -> str:
    return repr(getattr(target, "name", target))

"""From the arguments of ``Model.deploy`` to the use case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from modelport.domain.errors import WebserviceException
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.local_configuration import LocalDeploymentConfiguration
from modelport.sdk.webservice import Webservice
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.prepare_revision import RevisionRequest

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


def deploy_service(
    workspace: Workspace,
    name: str,
    model_ids: Sequence[str],
    *,
    inference_config: InferenceConfig | None,
    deployment_config: LocalDeploymentConfiguration | None,
    deployment_target: object,
    overwrite: bool,
    show_output: bool,
) -> Webservice:
    """What ``Model.deploy`` promises."""
    if deployment_target is not None:
        raise WebserviceException(
            "There is no compute target to deploy to: this Modelport deploys on this machine.",
            hint="Leave deployment_target out.",
        )
    if inference_config is None:
        raise WebserviceException(
            "A deployment needs an inference configuration: a model without an entry script cannot be deployed yet.",
            hint="Give inference_config=InferenceConfig(entry_script='score.py').",
        )
    configuration = deployment_config or LocalDeploymentConfiguration()
    configuration.validate_configuration()
    checked = inference_config.validate_configuration()
    context = workspace.context
    for ignored in inference_config.without_effect():
        context.progress.step(f"Not used on this machine, where services run without an image: {ignored}")
    for note in configuration.notes():
        context.progress.step(note)
    deployment = configuration.to_deployment()
    if inference_config.enable_gpu:
        deployment = replace(deployment, gpu_cores=deployment.gpu_cores or 1)
    service = deploy(
        context,
        DeployRequest(
            name=name,
            compute_type="Local",
            revision=RevisionRequest(
                models=[find_model_by_id(context, model_id) for model_id in model_ids],
                inference=checked,
                environment=inference_config.environment_definition(),
            ),
            deployment=deployment,
            primary_key=configuration.primary_key,
            secondary_key=configuration.secondary_key,
            description=configuration.description or inference_config.description,
            tags=configuration.tags or {},
            properties=configuration.properties or {},
            overwrite=overwrite,
        ),
    )
    return Webservice._from_service(workspace, service)

"""What models are made into (azureml-v1 reference, 2.2): the static methods of ``Model`` that start from models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.sdk.configuration_text import configuration_lines
from modelport.sdk.deploying import deploy_service
from modelport.sdk.new_revision import ids_of
from modelport.sdk.packages import ModelPackaging
from modelport.sdk.profiles import ModelProfiling

if TYPE_CHECKING:
    from modelport.sdk.deployment_configuration import DeploymentConfiguration
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.model import Model
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace


class ModelDeployment(ModelPackaging, ModelProfiling):
    """``Model.deploy`` and its companions."""

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """Deploy the models as a web service and return it while it starts: see ``wait_for_deployment``.

        ``models`` may be empty and may hold ids (``name:version``). Raises ConflictException where the name is taken
        and not ``overwrite``; whatever is wrong with the configuration, before anything is started.
        """
        if show_output:
            ModelDeployment.print_configuration(models, inference_config, deployment_config, deployment_target)
        return deploy_service(
            workspace,
            name,
            ids_of(models),
            inference_config=inference_config,
            deployment_config=deployment_config,
            deployment_target=deployment_target,
            overwrite=overwrite,
            show_output=show_output,
        )

    @staticmethod
    def print_configuration(
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None,
        deployment_config: DeploymentConfiguration | None,
        deployment_target: object,
    ) -> None:
        """Print what ``deploy`` would use, without keys. ``deploy(show_output=True)`` does so first."""
        lines = configuration_lines(ids_of(models), inference_config, deployment_config, deployment_target)
        print("\n".join(lines), flush=True)  # noqa: T201 - it is what was asked for

"""``azureml.core.model`` (azureml-v1 reference, 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.sdk import model
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.v1.standing_for import StandsFor

if TYPE_CHECKING:
    from modelport.sdk.deployment_configuration import DeploymentConfiguration
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace


class Model(model.Model, metaclass=StandsFor):
    """One version of a registered model, as it was when this object was made."""

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Sequence[model.Model | str],
        inference_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """Deploy the models as a web service and return it while it starts: see ``wait_for_deployment``.

        As in v1, a local service of that name is replaced without ``overwrite``: by another local one (azureml-v1
        reference, 2.7), and by one for a cloud, where the names of local services were of no account. Without a
        configuration and a target, it is one of a container instance.
        """
        present = workspace.registry.service(name)
        is_local = present is not None and present.compute_type.upper() == "LOCAL"
        if is_local and not overwrite:
            workspace.context.progress.step(
                f"The service {name!r} of this machine is replaced, although overwrite was not given: in v1, local "
                "services had names of their own"
            )
        overwrite = overwrite or is_local
        if deployment_config is None and deployment_target is None and (present is None or is_local):
            deployment_config = AciServiceDeploymentConfiguration()
        return model.Model.deploy(
            workspace,
            name,
            models,
            inference_config,
            deployment_config,
            deployment_target,
            overwrite=overwrite,
            show_output=show_output,
        )

"""``azureml.core.model`` (azureml-v1 reference, 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.sdk import model
from modelport.sdk.v1.standing_for import StandsFor

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.local_configuration import LocalDeploymentConfiguration
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
        deployment_config: LocalDeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """Deploy the models as a web service and return it while it starts: see ``wait_for_deployment``.

        As in v1, a local service of that name is replaced without ``overwrite``: by another local one (azureml-v1
        reference, 2.7), and by one for a cloud, where the names of local services were of no account.
        """
        present = workspace.registry.service(name)
        overwrite = overwrite or (present is not None and present.compute_type.upper() == "LOCAL")
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

"""The ways to deploy of 2018 and 2019, by an image configuration (azureml-v1 reference, 2.6 and 2.15)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.domain.errors import ConflictException
from modelport.sdk.local_configuration import LocalDeploymentConfiguration

if TYPE_CHECKING:
    from modelport.sdk.model import Model
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace


class LegacyDeployment:
    """The static methods of ``Webservice`` that deploy. ``Model.deploy`` does so without an image configuration.

    ``image_config`` is what ``ContainerImage.image_configuration`` returned, or an ``InferenceConfig``.
    """

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        model_paths: Sequence[str],
        image_config: Any,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Webservice:
        """Register each file or folder as a model by its own name, then as ``deploy_from_model``."""
        LegacyDeployment.check_for_existing_webservice(workspace, name, overwrite)
        models = [workspace._register(path, Path(path).name) for path in model_paths]
        return LegacyDeployment.deploy_from_model(
            workspace, name, models, image_config, deployment_config, deployment_target, overwrite
        )

    @staticmethod
    def deploy_from_model(
        workspace: Workspace,
        name: str,
        models: Sequence[Model | str],
        image_config: Any,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Webservice:
        """Make an image named as the service of the models and the configuration, then as ``deploy_from_image``.

        With an ``InferenceConfig`` no image is made.
        """
        LegacyDeployment.check_for_existing_webservice(workspace, name, overwrite)
        if not hasattr(image_config, "create_image"):
            return workspace._deploy(name, models, image_config, deployment_config, deployment_target, overwrite)
        image = image_config.create_image(workspace, name, models)
        image.wait_for_creation(show_output=True)
        return LegacyDeployment.deploy_from_image(
            workspace, name, image, deployment_config, deployment_target, overwrite
        )

    @staticmethod
    def deploy_from_image(
        workspace: Workspace,
        name: str,
        image: Any,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Webservice:
        """Deploy the image and return the service while it starts."""
        LegacyDeployment.check_for_existing_webservice(workspace, name, overwrite)
        service: Webservice = image.deploy_service(name, deployment_config, deployment_target, overwrite=overwrite)
        return service

    @staticmethod
    def deploy_local_from_model(
        workspace: Workspace,
        name: str,
        models: Sequence[Model | str],
        image_config: Any,
        deployment_config: Any = None,
        wait: bool = False,
    ) -> Webservice:
        """Deploy on this machine under v1's local type; an image is not made. With ``wait``, return when it runs."""
        local = deployment_config or LocalDeploymentConfiguration()
        service: Webservice
        if hasattr(image_config, "deploy_locally"):
            service = image_config.deploy_locally(workspace, name, models, local)
        else:
            service = workspace._deploy(name, models, image_config, local, None, False)
        if wait:
            service.wait_for_deployment(show_output=True)
        return service

    @staticmethod
    def check_for_existing_webservice(
        workspace: Workspace,
        name: str,
        overwrite: bool = False,
        request_func: Callable[..., object] | None = None,
        check_func: Callable[..., object] | None = None,
    ) -> None:
        """Raise ConflictException where the name is taken, unless ``overwrite``. The functions are not needed: nothing
        is asked over a network."""
        if not overwrite and workspace.registry.service(name) is not None:
            raise ConflictException(
                f"Service {name} already exists (ServiceExists).",
                hint="Use overwrite=True to update it, delete it first, or choose another name.",
            )

"""From an image, or what one is to be made of, to a service (azureml-v1 reference, 2.6 and 2.15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.deploying import deploy_revision
from modelport.sdk.image_configuration import ImageConfiguration
from modelport.sdk.image_revision import revision_from_image
from modelport.sdk.local_configuration import LocalDeploymentConfiguration
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.prepare_revision import RevisionRequest

if TYPE_CHECKING:
    from modelport.sdk.images import Image
    from modelport.sdk.model import Model
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace


def deploy_image(image: Image, name: str, config: Any, target: Any, *, overwrite: bool) -> Webservice:
    """Deploy the image, with its locked environment, and return the service while it starts.

    Without configuration and target it is a service of a container instance, as in v1. Raises WebserviceException where
    the image was not created, and what ``Model.deploy`` raises.
    """
    if config is None and target is None:
        config = AciServiceDeploymentConfiguration()
    return deploy_revision(
        image.workspace,
        name,
        revision_from_image(image),
        deployment_config=config,
        deployment_target=target,
        overwrite=overwrite,
        description=image.description,
    )


def revision_from_configuration(
    workspace: Workspace, name: str, models: Sequence[Model | str], configuration: ImageConfiguration
) -> RevisionRequest:
    """What an image is to be made of; what has no effect here is said. Raises as ``validate_configuration``."""
    checked = configuration.validate_configuration()
    context = workspace.context
    for note in configuration.notes():
        context.progress.step(note)
    return RevisionRequest(
        models=[find_model_by_id(context, model if isinstance(model, str) else model.id) for model in models],
        inference=checked,
        environment=configuration.environment_definition(name),
    )


def deploy_configuration(
    workspace: Workspace,
    name: str,
    models: Sequence[Model | str],
    configuration: ImageConfiguration,
    local: LocalDeploymentConfiguration,
) -> Webservice:
    """Deploy on this machine what an image would be made of; a service of that name is replaced.

    No image is kept, so that the script can be edited and reloaded. Raises what ``Model.deploy`` raises.
    """
    return deploy_revision(
        workspace,
        name,
        revision_from_configuration(workspace, name, models, configuration),
        deployment_config=local,
        deployment_target=None,
        overwrite=True,
        description=configuration.description,
    )

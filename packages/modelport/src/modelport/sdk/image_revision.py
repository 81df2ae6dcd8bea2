"""An image as what a revision of a service is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.domain.errors import WebserviceException
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.prepare_revision import ImageRevision

if TYPE_CHECKING:
    from modelport.sdk.images import Image


def revision_from_image(image: Image) -> ImageRevision:
    """The image as what a revision is made of. Raises WebserviceException where it was not created."""
    if not hasattr(image, "update_creation_state"):
        raise WebserviceException(
            f"image must be an Image, not {image!r}.", hint="Find it: Image(workspace, name=…, version=…)."
        )
    image.update_creation_state()
    if image.record.content.built is None:
        raise WebserviceException(
            f"The image {image.id} cannot be deployed: its creation state is {image.creation_state}.\n"
            f"{image.error or ''}",
            hint=f"Wait for it (wait_for_creation); the log of its creation: {image.image_build_log_uri}",
        )
    context = image.workspace.context
    models = [find_model_by_id(context, model_id) for model_id in image.record.content.model_ids]
    return ImageRevision(image=image.record, models=models)

"""Delete an image, and change what may change of one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace

from modelport.domain.errors import ConflictException
from modelport.domain.images import Image
from modelport.domain.services import ServiceFilter
from modelport.usecases.change_model import merged_properties
from modelport.usecases.context import Context
from modelport.usecases.create_image import is_being_created, log_of, observe_image
from modelport.usecases.find_images import KIND, keep_image
from modelport.usecases.prepare_revision import remove_unused_bundles


def delete_image(context: Context, image: Image) -> None:
    """Delete the version with its log; nothing happens where it is gone already.

    Raises ConflictException, naming the services, while one runs it, and while it is being created.
    """
    users = [
        service.name for service in context.registry.services(ServiceFilter()) if service.active.image_id == image.id
    ]
    if users:
        raise ConflictException(
            f"The image {image.id} is used by the services {', '.join(users)}.",
            hint="Delete them, or update them to another image, first.",
        )
    if is_being_created(context, image):
        raise ConflictException(f"The image {image.id} is being created.", hint="Wait until that is over.")
    context.registry.delete_asset(KIND, image.name, image.version)
    shutil.rmtree(log_of(context, image).parent, ignore_errors=True)
    remove_unused_bundles(context)


def change_image(
    context: Context,
    image: Image,
    *,
    tags: Mapping[str, str] | None = None,
    add_tags: Mapping[str, str] | None = None,
    remove_tags: Iterable[str] = (),
    add_properties: Mapping[str, str] | None = None,
) -> Image:
    """Replace all tags, add and remove some, add properties.

    Raises WebserviceException where a property would get another value: properties never change, new ones may come.
    """
    image = observe_image(context, image)
    content = image.content
    kept = content.tags if tags is None else tags
    kept = {key: value for key, value in kept.items() if key not in set(remove_tags)} | dict(add_tags or {})
    properties = merged_properties(content.properties, add_properties or {})
    return keep_image(context, image, replace(content, tags=kept, properties=properties))

"""Find images: assets of the workspace whose body is an ImageContent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from modelport.domain.assets import Asset
from modelport.domain.errors import WebserviceException
from modelport.domain.images import Image, ImageContent
from modelport.domain.labels import labels_fit
from modelport.domain.models import Condition
from modelport.domain.names import split_model_id
from modelport.usecases.context import Context

KIND = "image"


@dataclass(frozen=True, kw_only=True)
class ImageFilter:
    """Which images are meant; every field given must hold."""

    name: str | None = None
    version: int | None = None
    model_name: str | None = None
    model_id: str | None = None
    tags: Sequence[Condition] = ()
    properties: Sequence[Condition] = ()

    def fits(self, image: Image) -> bool:
        content = image.content
        models = [split_model_id(model_id) for model_id in content.model_ids]
        return (
            self.version in (None, image.version)
            and (self.model_name is None or self.model_name in [name for name, _ in models])
            and (self.model_id is None or split_model_id(self.model_id) in models)
            and labels_fit(content.tags, self.tags)
            and labels_fit(content.properties, self.properties)
        )


def find_images(context: Context, wanted: ImageFilter) -> list[Image]:
    """The images that fit, by name, newest first within a name."""
    assets = context.registry.assets(KIND, name=wanted.name)
    return [image for image in map(image_of, assets) if wanted.fits(image)]


def find_image(context: Context, wanted: ImageFilter) -> Image:
    """The newest version that fits. Raises WebserviceException (``ImageNotFound``)."""
    found = find_images(context, wanted)
    if found:
        return found[0]
    versions = [str(image.version) for image in find_images(context, ImageFilter(name=wanted.name))]
    names = sorted({asset.name for asset in context.registry.assets(KIND, latest=True)})
    there = f"It has: {', '.join(names)}." if names else "It has no images yet."
    raise WebserviceException(
        f"ImageNotFound: the workspace {context.record.name!r} has no image named {wanted.name!r}"
        + ("" if wanted.version is None else f" with version {wanted.version}")
        + (" and those tags and properties." if wanted.tags or wanted.properties else "."),
        hint=f"{wanted.name!r} has the versions {', '.join(versions)}." if versions else there,
    )


def bundles_of_images(context: Context) -> set[str]:
    """Digests of the bundles that images hold."""
    built = [image_of(asset).content.built for asset in context.registry.assets(KIND)]
    return {each.bundle_digest for each in built if each is not None}


def image_of(asset: Asset) -> Image:
    """The image that the asset is."""
    return Image(
        name=asset.name,
        version=asset.version,
        content=msgspec.convert(asset.body, ImageContent),
        created_time=asset.created_time,
        updated_time=asset.updated_time,
        created_by=asset.created_by,
    )


def keep_image(context: Context, image: Image, content: ImageContent) -> Image:
    """Replace what the workspace keeps of the image. Raises UserErrorException where it is not there any more."""
    return image_of(context.registry.replace_asset(KIND, image.name, image.version, body_of(content)))


def body_of(content: ImageContent) -> dict[str, Any]:
    """The content as the body of an asset."""
    body: dict[str, Any] = msgspec.to_builtins(content)
    return body

"""Images of bundles, made without a container engine (docs/architecture/11-images.md)."""

from modelport.images.build import build_image, stock_image
from modelport.images.image import BuiltImage, Credentials, ImageLayer, ImageSettings, Platform
from modelport.images.publish import push, write_docker_archive

__all__ = [
    "BuiltImage",
    "Credentials",
    "ImageLayer",
    "ImageSettings",
    "Platform",
    "build_image",
    "push",
    "stock_image",
    "write_docker_archive",
]

"""Images of bundles, made without a container engine (docs/architecture/11-images.md).

What works with layers and registries is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelport.images.image import BuiltImage, Credentials, ImageLayer, ImageSettings, Platform

if TYPE_CHECKING:
    from modelport.images.base_choice import base_credentials
    from modelport.images.build import build_image, environment_archive, stock_image
    from modelport.images.cache import Pruned, prune
    from modelport.images.layout import copy_images, copy_layout
    from modelport.images.publish import push, push_layout, write_docker_archive, write_layout_archive

__all__ = [
    "BuiltImage",
    "Credentials",
    "ImageLayer",
    "ImageSettings",
    "Platform",
    "Pruned",
    "base_credentials",
    "build_image",
    "copy_images",
    "copy_layout",
    "environment_archive",
    "prune",
    "push",
    "push_layout",
    "stock_image",
    "write_docker_archive",
    "write_layout_archive",
]

_HOME = {
    "Pruned": "cache",
    "base_credentials": "base_choice",
    "build_image": "build",
    "copy_images": "layout",
    "copy_layout": "layout",
    "environment_archive": "build",
    "prune": "cache",
    "push": "publish",
    "push_layout": "publish",
    "stock_image": "build",
    "write_docker_archive": "publish",
    "write_layout_archive": "publish",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'modelport.images' has no attribute {name!r}")
    return getattr(import_module(f"modelport.images.{_HOME[name]}"), name)

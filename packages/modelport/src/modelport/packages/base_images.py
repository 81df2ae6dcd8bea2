"""Which image a package is built on, and what has to be added to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from modelport.domain.environments import DockerSection
from modelport.environments.requirement_lines import package_name

SERVER_MINOR = "3.11"
"""The Python of the scoring server where the script's own is too old for it."""

_OLDEST_FOR_SERVER = (3, 11)
_OLDEST_ON_BOOKWORM = (3, 7)
"""The official images of older Pythons end with the Debian before."""

_OF_V1 = re.compile(r"(mcr\.microsoft\.com/)?azureml[/-]")
"""Images that v1 put into every environment: nobody chose them. They come with its own server, and with systems that
are no longer kept up."""

_SYSTEM_PACKAGES = {
    "lightgbm": ("libgomp1",),
    "opencv-python": ("libgl1", "libglib2.0-0"),
    "pyspark": ("default-jre-headless",),
    "soundfile": ("libsndfile1",),
}
"""Debian packages that a Python package needs, and that slim images do not have."""


class ServerPython(Enum):
    """Where the scoring server's Python comes from."""

    SHARED = "the script's own"
    COPIED = "copied from another official image of the same Debian"
    FOUND = "whatever recent one the base has, else downloaded by uv"


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the image stands on."""

    image: str | None
    """Default of the argument BASE_IMAGE; None where a Dockerfile makes the base."""
    dockerfile: str | None
    server_python: ServerPython
    tools_image: str
    """Official image whose pip and Python the build uses."""


def choose_base(docker: DockerSection, python_version: str | None) -> Base:
    """The base of an environment. ``python_version`` None: the script runs on a Python that the base has."""
    custom = docker.base_image if docker.base_image and not is_of_v1(docker.base_image) else None
    if docker.base_dockerfile or custom:
        return Base(
            image=custom,
            dockerfile=docker.base_dockerfile,
            server_python=ServerPython.FOUND,
            tools_image=official_image(SERVER_MINOR),
        )
    minor = ".".join(python_version.split(".")[:2]) if python_version else SERVER_MINOR
    if _numbers(minor) >= _OLDEST_FOR_SERVER:
        image = official_image(minor)
        return Base(image=image, dockerfile=None, server_python=ServerPython.SHARED, tools_image=image)
    return Base(
        image=official_image(minor),
        dockerfile=None,
        server_python=ServerPython.COPIED,
        tools_image=official_image(SERVER_MINOR, release=_release(minor)),
    )


def is_of_v1(image: str) -> bool:
    """Whether it is one of the images that v1 put into every environment."""
    return _OF_V1.match(image) is not None


def official_image(minor: str, *, release: str | None = None) -> str:
    """The slim image of that Python from Docker's official ones."""
    return f"python:{minor}-slim-{release or _release(minor)}"


def system_packages(requirements: Iterable[str]) -> list[str]:
    """Debian packages that the Python packages need, as far as is known."""
    names = {package_name(line) for line in requirements}
    return sorted({package for name in names for package in _SYSTEM_PACKAGES.get(name or "", ())})


def _release(minor: str) -> str:
    return "bookworm" if _numbers(minor) >= _OLDEST_ON_BOOKWORM else "bullseye"


def _numbers(minor: str) -> tuple[int, ...]:
    return tuple(int(number) for number in minor.split(".")[:2])

"""What an image is made with, and what it is when it is made."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.domain.errors import UserErrorException

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What kernels call them, and what images do."""


@dataclass(frozen=True)
class Platform:
    """System and architecture of an image, in the words of images: ``linux`` and ``amd64``."""

    architecture: str
    os: str = "linux"

    @property
    def machine(self) -> str:
        """The architecture in the words of kernels and wheels: ``x86_64``."""
        return next(machine for machine, name in _ARCHITECTURES.items() if name == self.architecture)

    @property
    def is_of_this_machine(self) -> bool:
        return sys.platform == "linux" and self == Platform.of_this_machine()

    @staticmethod
    def of_this_machine() -> Platform:
        machine = platform.machine()
        return Platform(_ARCHITECTURES.get(machine, machine))

    @staticmethod
    def parse(text: str) -> Platform:
        """``linux/amd64``, or ``amd64`` alone. Raises UserErrorException for one that images cannot be made for."""
        system, _, architecture = text.rpartition("/")
        architecture = _ARCHITECTURES.get(architecture, architecture)
        if system not in ("", "linux") or architecture not in _ARCHITECTURES.values():
            known = ", ".join(f"linux/{name}" for name in _ARCHITECTURES.values())
            raise UserErrorException(f"No image can be made for the platform {text!r}.", hint=f"Name one of: {known}.")
        return Platform(architecture)

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


@dataclass(frozen=True)
class Credentials:
    """Who asks a registry. ``registry`` is its address; None for whichever one is asked."""

    username: str
    password: str = field(repr=False)
    registry: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """What decides how an image of a bundle is made, besides the bundle."""

    name: str = "service"
    """Of the service, as the OpenAPI document and the variable SERVICE_NAME have it."""
    workspace: str = ""
    base: str | None = None
    """What the image stands on: a reference, the path of an OCI layout, of an archive of an image or of a root file
    system, or ``engine:NAME`` for an image that the container engine has. None: what the environment names, else what
    MODELPORT_BASE_IMAGE names, else the official image of the script's Python."""
    pythons: str | None = None
    """Where a Python comes from that the base lacks: as ``base``, or a folder that a Python is installed in; several
    with commas between them. None: what MODELPORT_PYTHON_IMAGE names, else the official image of that Python."""
    platform: Platform = field(default_factory=Platform.of_this_machine)
    credentials: Credentials | None = None
    """For the registry of the base. None: those of Docker's configuration file."""
    labels: Mapping[str, str] = field(default_factory=dict)
    has_variables: bool = True
    """Whether the variables of the environment are in the image, where everybody reads them who has it. A target that
    gives them to the service in another way says no."""


@dataclass(frozen=True, kw_only=True)
class ImageLayer:
    """One layer. ``bytes`` is the size of its archive, ``compressed_bytes`` what is kept and sent."""

    name: str
    digest: str
    """Of the compressed archive, as ``sha256:…``."""
    diff_id: str
    """Of the archive itself."""
    bytes: int
    compressed_bytes: int
    media_type: str = GZIP_LAYER


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image as an OCI layout: a folder that holds it and nothing else."""

    layout: Path
    digest: str
    """Of its manifest, as ``sha256:…``: what a registry and a cluster name it by."""
    config_digest: str
    """Of its configuration: what engines call the image's id."""
    layers: tuple[ImageLayer, ...]
    platform: Platform
    sbom: Path
    """A CycloneDX document, beside the layout's own files."""
    interpreter: tuple[str, ...] = ()
    """The command that starts the script's Python in the image; of a stock image, that of its own Python."""
    keeps_python_path: bool = False
    """Whether the script sees what PYTHONPATH names in the image: it runs on a Python of the base."""

    @property
    def own_layers(self) -> tuple[ImageLayer, ...]:
        """Those that stand on the base."""
        return tuple(layer for layer in self.layers if not layer.name.startswith("base"))

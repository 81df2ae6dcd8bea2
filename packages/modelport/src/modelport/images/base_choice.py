"""Which base an image of an environment stands on (docs/packages.md)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelport.domain.environments import DockerSection, EnvironmentDefinition
from modelport.domain.errors import RegistryException, UserErrorException
from modelport.domain.progress import Progress
from modelport.environments.requirement_lines import package_name
from modelport.images.bases import ENGINE, BaseImage, Bases
from modelport.images.image import Credentials, ImageSettings
from modelport.images.manifests import INDEX_FILE
from modelport.images.registry.credentials import host_of
from modelport.images.registry.reference import HUB, Reference
from modelport.packages.base_images import SERVER_MINOR, is_of_v1, official_image
from modelport.packages.engine import find_engine
from modelport.packages.plan import PackagePlan

VARIABLE = "MODELPORT_BASE_IMAGE"

_NEEDED_LIBRARIES = {
    "lightgbm": ("libgomp.so.1", "libgomp1"),
    "opencv-python": ("libGL.so.1", "libgl1"),
    "soundfile": ("libsndfile.so.1", "libsndfile1"),
}
"""What a Python package loads and does not bring, and the Debian package that has it."""
_FOLDERS = ("usr/lib", "usr/lib64", "usr/local/lib", "lib", "lib64")


def choose_base(
    plan: PackagePlan, definition: EnvironmentDefinition, settings: ImageSettings, bases: Bases, progress: Progress
) -> BaseImage:
    """The base: what the settings name, else what the environment names, else the variable's, else the official image.

    Raises UserErrorException where it is not to be had.
    """
    docker = definition.docker
    if settings.base is not None:
        return bases.read(settings.base, settings.platform)
    if docker.base_dockerfile:
        return bases.read(_built_by_engine(docker.base_dockerfile, settings, progress), settings.platform)
    if docker.base_image and not is_of_v1(docker.base_image):
        return _read_named(docker, settings, bases)
    chosen = stock_base(plan.python_version or SERVER_MINOR)
    if docker.base_image:
        progress.step(
            f"The base image {docker.base_image} is the one that v1 put into every environment: the image stands on "
            f"{chosen} instead"
        )
    try:
        return bases.read(chosen, settings.platform)
    except RegistryException as error:
        # Nobody named this base, so that whoever reads this may not know that there is another way.
        error.hint = (
            f"{error.hint}\n{VARIABLE} names another base: one of a registry that is reached from here, {ENGINE}NAME "
            "for an image that the container engine has, or the path of an archive (docker save, podman save)."
        ).strip()
        raise


def stock_base(python: str) -> str:
    """The base where nobody names one."""
    return os.environ.get(VARIABLE) or official_image(".".join(python.split(".")[:2]))


def _read_named(docker: DockerSection, settings: ImageSettings, bases: Bases) -> BaseImage:
    name = _named(docker)
    try:
        return bases.read(name, settings.platform)
    except RegistryException as error:
        if docker.base_image_registry.get("username") and settings.credentials is None:
            error.hint = (
                f"{error.hint}\nThe user and password of base_image_registry count for Model.package only: none is "
                f"kept with what a deployment runs. For deployments, log in: docker login {_registry_in(name)} "
                "(podman login)."
            ).strip()
        raise


def _named(docker: DockerSection) -> str:
    """v1 had the registry's address beside the name."""
    address, image = (docker.base_image_registry.get("address") or "").rstrip("/"), str(docker.base_image)
    if not address or host_of(address) == HUB:
        return image
    return f"{address}/{image.removeprefix(f'{address}/').removeprefix(f'{host_of(address)}/')}"


def base_credentials(docker: DockerSection) -> Credentials | None:
    """Those that the environment has for its base image. Where no address is beside them, they are for the registry
    that the image's name has, and for no other: a password goes to nobody else."""
    known = docker.base_image_registry
    username, password = known.get("username"), known.get("password")
    registry = known.get("address") or _registry_in(docker.base_image or "")
    return Credentials(username, password, registry=registry) if username and password and registry else None


def _registry_in(base: str) -> str | None:
    """None for a base that is of no registry."""
    if not base or base.startswith(ENGINE) or Path(base).is_file() or (Path(base) / INDEX_FILE).is_file():
        return None
    try:
        return Reference.parse(base).registry
    except UserErrorException:  # a path; whoever reads it says that nothing is there
        return None


def _built_by_engine(dockerfile: str, settings: ImageSettings, progress: Progress) -> str:
    """The steps of a Dockerfile run in an engine; what comes out is a base like any other."""
    engine = find_engine()
    if engine is None:
        raise UserErrorException(
            "The environment's base is a Dockerfile, whose steps only a container engine can run; none answers on this "
            "machine (docker, podman).",
            hint="Start one; or build it elsewhere, push it, and name it as environment.docker.base_image.",
        )
    if not settings.platform.is_of_this_machine:
        raise UserErrorException(
            f"The environment's base is a Dockerfile: no image of it can be made here for {settings.platform}.",
            hint="Push an image for each platform, and name it as environment.docker.base_image.",
        )
    name = "modelport-base:" + hashlib.sha256(dockerfile.encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(prefix="modelport-base-") as folder:
        (Path(folder) / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        engine.build(Path(folder), name, progress=progress)
    return ENGINE + name


def check_libraries(requirements: Sequence[str], base: BaseImage) -> None:
    """Raise UserErrorException where the base lacks a library that a package is known to load."""
    names = {package_name(line) for line in requirements}
    there = {path.rpartition("/")[2] for path in base.tree.links if path.startswith(_FOLDERS)}
    for name, (library, package) in _NEEDED_LIBRARIES.items():
        if name in names and library not in there:
            raise UserErrorException(
                f"{name} needs the library {library}, which the base {base.name} lacks (Debian: {package}).",
                hint="Name a base that has it; or let an engine make one: environment.docker.base_dockerfile = "
                f"'FROM {base.name}\\nRUN apt-get update && apt-get install -y --no-install-recommends {package}'.",
            )

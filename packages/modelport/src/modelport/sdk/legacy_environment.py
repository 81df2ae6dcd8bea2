"""Environments as they were said before there were Environment objects: a runtime and a conda file."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelport.domain.errors import WebserviceException
from modelport.environments.python_request import requested_python
from modelport.environments.requirement_lines import package_name
from modelport.environments.specification import read_text
from modelport.packages.base_images import SERVER_MINOR, official_image
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment import Environment
from modelport.sdk.environment_sections import ContainerRegistry

RUNTIMES = ("python", "spark-py", "python-slim")
CUDA_VERSIONS = ("9.0", "9.1", "10.0")
_SPARK = "spark-py"


def check_runtime(runtime: str | None, cuda_version: str | None) -> None:
    """Raise WebserviceException for values that v1 did not have. Capitals do not matter."""
    if runtime is not None and runtime.lower() not in RUNTIMES:
        raise WebserviceException(f"Invalid runtime {runtime!r}: it must be one of spark-py|python|python-slim.")
    if cuda_version is not None and cuda_version.lower() not in CUDA_VERSIONS:
        raise WebserviceException(
            f"Invalid cuda_version {cuda_version!r}: it must be one of {', '.join(CUDA_VERSIONS)}."
        )


def legacy_environment(name: str, *, runtime: str | None, conda_file: Path | None) -> Environment | None:
    """The environment of a conda file; None where there is none, and nothing to install.

    v1's image for ``spark-py`` brought Spark, so that dependency lists did not name it: PySpark is added to the list.
    """
    wants_spark = (runtime or "").lower() == _SPARK
    if conda_file is None and not wants_spark:
        return None
    environment = Environment(name)
    environment.environment_variables = {}
    dependencies = CondaDependencies(None if conda_file is None else str(conda_file))
    if wants_spark and not _names_spark(dependencies):
        dependencies.add_pip_package("pyspark")
    environment.python.conda_dependencies = dependencies
    return environment


def set_base(environment: Environment, image: str | None, registry: object, steps: Path | None) -> None:
    """What an image of the environment stands on: the base image, and the Docker steps on top of it."""
    docker = environment.docker
    if isinstance(registry, ContainerRegistry):
        docker.base_image_registry = registry
    if steps is None:
        docker.base_image = image
        return
    dependencies = environment.to_definition().python.conda
    minor = requested_python(dependencies.packages).minor if dependencies else None
    docker.base_image = None
    docker.base_dockerfile = f"FROM {image or official_image(minor or SERVER_MINOR)}\n{read_text(steps)}"


def runtime_notes(runtime: str | None) -> list[str]:
    """What somebody who asks for this runtime should know."""
    if (runtime or "").lower() != _SPARK:
        return []
    java = shutil.which("java")
    found = f"found: {java}" if java else "none is on PATH here: install one, or set JAVA_HOME"
    return [f"runtime spark-py: PySpark runs in the script's own environment and needs Java ({found})."]


def _names_spark(dependencies: CondaDependencies) -> bool:
    named = [*dependencies.conda_packages, *dependencies.pip_packages]
    return any(package_name(package) == "pyspark" for package in named)

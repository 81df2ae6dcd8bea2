"""What an image is to be made of (azureml-v1 reference, 2.15)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import WebserviceException
from modelport.domain.images import ImageContent
from modelport.sdk.docker_steps import pip_requirements
from modelport.sdk.legacy_environment import check_runtime, legacy_environment, runtime_notes
from modelport.usecases.validate_inference import CheckedInference, resolve_below, validate_inference

_SWAGGER = "swagger.json"
_ONLY_RECORDED = ("docker_file", "enable_gpu", "base_image", "base_image_registry", "cuda_version")
"""Kept with the image, and without effect: on this machine it is no container."""


@dataclass(kw_only=True)
class ImageConfiguration:
    """The script of an image, what is shipped with it, and the environment that it needs.

    ``dependencies`` are files and folders that will lie in the app root, beside the script, under their own names.
    ``schema_file`` is served as the Swagger document. Paths are relative to the current directory.
    """

    execution_script: str
    runtime: str
    conda_file: str | None = None
    docker_file: str | None = None
    schema_file: str | None = None
    dependencies: Sequence[str] | None = None
    enable_gpu: bool | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    description: str | None = None
    base_image: str | None = None
    base_image_registry: Any = None
    cuda_version: str | None = None

    def validate_configuration(self) -> CheckedInference:
        """Check everything that can be checked before the creation; returns the code with absolute paths.

        Raises WebserviceException for values that are not allowed and files that are missing, UserErrorException for a
        syntax error in the script.
        """
        _check_script(self.execution_script)
        check_runtime(self.runtime, self.cuda_version)
        for what, given in (("conda file", self.conda_file), ("docker file", self.docker_file)):
            if given is not None:
                resolve_below(None, given, what=what)
        return validate_inference(
            self.execution_script,
            None,
            description=self.description,
            environment=self.environment_definition(),
            companions=self._companions(),
        )

    def _companions(self) -> dict[str, Path]:
        if isinstance(self.dependencies, str) or not isinstance(self.dependencies or [], Sequence):
            raise WebserviceException(
                f"Invalid dependencies {self.dependencies!r}: they must be a list of files and folders."
            )
        found: dict[str, Path] = {}
        for given in self.dependencies or ():
            path = Path(os.path.abspath(given))  # noqa: PTH100 - '..' goes, and links stay
            if found.setdefault(path.name or "root", path) != path:
                raise WebserviceException(
                    f"Two dependencies have the name {path.name!r}: {found[path.name]} and {path}."
                )
        if self.schema_file is not None:
            if _SWAGGER in found:
                raise WebserviceException(f"schema_file becomes {_SWAGGER}, and a dependency has that name.")
            found[_SWAGGER] = _checked_schema(self.schema_file)
        return found

    def environment_definition(self, name: str = "image") -> EnvironmentDefinition | None:
        """The environment that the script needs; None for the Python that creates the image."""
        path = None if self.conda_file is None else resolve_below(None, self.conda_file, what="conda file")
        environment = legacy_environment(name, runtime=self.runtime, conda_file=path)
        if environment is None:
            return None
        dependencies = environment.python.conda_dependencies
        if dependencies is not None:
            for requirement in self._docker_requirements():
                dependencies.add_pip_package(requirement)
        return environment.to_definition()

    def _docker_requirements(self) -> list[str]:
        if self.docker_file is None or self.conda_file is None:
            return []
        return pip_requirements(resolve_below(None, self.docker_file, what="docker file"))

    def content(self, checked: CheckedInference) -> ImageContent:
        """What the workspace keeps of it; what the creation finds out is not in it yet."""
        return ImageContent(
            folder="",
            inference=checked.configuration,
            asked=self._asked(),
            description=self.description,
            tags={str(key): str(value) for key, value in (self.tags or {}).items()},
            properties={str(key): str(value) for key, value in (self.properties or {}).items()},
        )

    def _asked(self) -> dict[str, Any]:
        """Without the credentials of a registry: nobody uses them here."""
        asked = {name: getattr(self, name) for name in ("runtime", "conda_file", "schema_file", *_ONLY_RECORDED)}
        asked["base_image_registry"] = _address(self.base_image_registry)
        return asked | {"dependencies": list(self.dependencies or ())}

    def notes(self) -> list[str]:
        """What somebody who asks for this should know."""
        recorded = [name for name in _ONLY_RECORDED if getattr(self, name)]
        notes = runtime_notes(self.runtime)
        if self.conda_file is None:
            notes.append("No conda_file: the script runs on the Python that creates the image.")
        if requirements := self._docker_requirements():
            notes.append(f"Of the docker_file, the script's environment gets: {', '.join(requirements)}")
        if recorded:
            notes.append(
                f"Recorded, and without effect on this machine, where images are no containers: {', '.join(recorded)}"
            )
        return notes


def _check_script(given: str) -> None:
    if not given or not isinstance(given, str):
        raise WebserviceException("An image needs an execution script: execution_script must not be empty.")
    if not os.path.isabs(given) and os.path.dirname(os.path.normpath(given)):  # noqa: PTH117, PTH120 - as it was given
        raise WebserviceException(
            f"Unable to use the execution script {given!r}: it is not in the current directory {str(Path.cwd())!r}.",
            hint="Go to the script's folder (os.chdir), or give its absolute path.",
        )


def _checked_schema(given: str) -> Path:
    path = resolve_below(None, given, what="schema file")
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise WebserviceException(
            f"The schema file {given!r} is no JSON: {error}.", hint="It is served as it is, at /swagger.json."
        ) from error
    return path


def _address(registry: Any) -> str | None:
    if isinstance(registry, Mapping):
        registry = registry.get("address")
    found = getattr(registry, "address", registry)
    return None if found is None else str(found)

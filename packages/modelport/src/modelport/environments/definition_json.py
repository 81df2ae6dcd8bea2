"""Environment definitions as JSON and as folders, with the keys of the azureml-v1 reference, 4.4."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelport.domain.environments import CondaSpecification, DockerSection, EnvironmentDefinition, PythonSection
from modelport.domain.errors import UserErrorException
from modelport.environments.specification import (
    conda_from_json,
    conda_to_json,
    conda_to_yaml,
    read_conda_file,
    read_text,
)

DEFINITION_FILE = "azureml_environment.json"
CONDA_FILE = "conda_dependencies.yml"
DOCKERFILE = "BaseDockerfile"

_DATABRICKS = ("mavenLibraries", "pypiLibraries", "rcranLibraries", "jarLibraries", "eggLibraries")
_REGISTRY = ("address", "username", "password", "registryIdentity")


def definition_to_json(definition: EnvironmentDefinition, *, version: str | None = None) -> dict[str, Any]:
    """The inline form: the conda specification is inside."""
    return {
        "name": definition.name,
        "version": version,
        "environmentVariables": dict(definition.environment_variables),
        "python": _python_to_json(definition.python),
        "docker": _docker_to_json(definition.docker),
        "spark": {"repositories": [], "packages": [], "precachePackages": True},
        "databricks": {key: [] for key in _DATABRICKS},
        "r": None,
        "inferencingStackVersion": definition.inferencing_stack_version,
    }


def definition_from_json(content: object, *, where: str = "the environment") -> EnvironmentDefinition:
    """A definition from JSON, its keys in camelCase or snake_case; unknown keys are passed over.

    Raises UserErrorException, saying ``where`` and which key.
    """
    table = _table(content, where)
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise UserErrorException(f"{where}: 'name' is missing.", hint='Add "name": "my-environment".')
    return EnvironmentDefinition(
        name=name,
        environment_variables=_variables(table.get("environment_variables"), where),
        python=_python_from_json(table.get("python"), where),
        docker=_docker_from_json(table.get("docker"), where),
        inferencing_stack_version=_text(table, "inferencing_stack_version", where),
    )


def version_from_json(content: object) -> str | None:
    """The version that the JSON names, if any."""
    version = content.get("version") if isinstance(content, Mapping) else None
    return None if version is None else str(version)


def save_definition(
    definition: EnvironmentDefinition, folder: Path, *, overwrite: bool, version: str | None = None
) -> None:
    """Write the definition as files into ``folder``, which is made where it is missing.

    Raises UserErrorException where files of it are there already and ``overwrite`` is false.
    """
    files = _folder_files(definition, version)
    taken = [name for name in (DEFINITION_FILE, CONDA_FILE, DOCKERFILE) if (folder / name).exists()]
    if taken and not overwrite:
        raise UserErrorException(
            f"{folder} holds an environment already ({', '.join(taken)}).", hint="Pass overwrite=True to replace it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in taken:
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def load_definition(folder: Path) -> tuple[EnvironmentDefinition, str | None]:
    """What ``save_definition`` wrote, and its version. Raises FileNotFoundError and UserErrorException."""
    file = folder / DEFINITION_FILE
    try:
        content = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise UserErrorException(f"{file}:{error.lineno}: this is not valid JSON: {error.msg}.") from error
    definition = definition_from_json(content, where=str(file))
    python, docker = definition.python, definition.docker
    if (folder / CONDA_FILE).exists():
        python = replace(python, conda=read_conda_file(folder / CONDA_FILE))
    dockerfile = read_text(folder / DOCKERFILE) if (folder / DOCKERFILE).exists() else ""
    if has_instructions(dockerfile):
        docker = replace(docker, base_dockerfile=dockerfile, base_image=None)
    return replace(definition, python=python, docker=docker), version_from_json(content)


def has_instructions(dockerfile: str) -> bool:
    """Whether it says anything: one of comments alone, as ``az-ml environment scaffold`` makes, does not."""
    lines = (line.strip() for line in dockerfile.splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _folder_files(definition: EnvironmentDefinition, version: str | None) -> dict[str, str]:
    content = definition_to_json(definition, version=version)
    content["python"].pop("condaDependencies")
    files = {}
    if definition.docker.base_dockerfile:
        content["docker"]["baseDockerfile"] = None
        files[DOCKERFILE] = definition.docker.base_dockerfile
    files[DEFINITION_FILE] = json.dumps(content, indent=4, ensure_ascii=False) + "\n"
    if definition.python.conda is not None:
        files[CONDA_FILE] = conda_to_yaml(definition.python.conda)
    return files


def _python_to_json(python: PythonSection) -> dict[str, Any]:
    return {
        "userManagedDependencies": python.user_managed_dependencies,
        "interpreterPath": python.interpreter_path,
        "condaDependenciesFile": None,
        "baseCondaEnvironment": None,
        "condaDependencies": None if python.conda is None else conda_to_json(python.conda),
    }


def _docker_to_json(docker: DockerSection) -> dict[str, Any]:
    registry = {_snake(key): value for key, value in docker.base_image_registry.items()}
    return {
        "enabled": docker.enabled,
        "baseImage": docker.base_image,
        "baseDockerfile": docker.base_dockerfile,
        "baseImageRegistry": {key: registry.get(_snake(key)) for key in _REGISTRY},
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sharedVolumes": True,
        "shmSize": docker.shm_size,
        "arguments": list(docker.arguments),
    }


def _python_from_json(content: object, where: str) -> PythonSection:
    table = _table(content, f"{where}: 'python'")
    conda = table.get("conda_dependencies")
    return PythonSection(
        user_managed_dependencies=_claim(table, "user_managed_dependencies", where),
        interpreter_path=_text(table, "interpreter_path", where) or "python",
        conda=_conda_from_json(conda, table, where),
    )


def _conda_from_json(conda: object, python: Mapping[str, object], where: str) -> CondaSpecification | None:
    if conda is not None:
        return conda_from_json(conda, where=f"{where}: 'python.condaDependencies'")
    file = _text(python, "conda_dependencies_file", where)
    return read_conda_file(file) if file else None


def _docker_from_json(content: object, where: str) -> DockerSection:
    table = _table(content, f"{where}: 'docker'")
    registry = _table(table.get("base_image_registry"), f"{where}: 'docker.baseImageRegistry'")
    arguments = table.get("arguments") or ()
    if isinstance(arguments, str) or not isinstance(arguments, list | tuple):
        raise UserErrorException(f"{where}: 'docker.arguments' must be a list.")
    return DockerSection(
        enabled=_claim(table, "enabled", where),
        base_image=_text(table, "base_image", where),
        base_dockerfile=_text(table, "base_dockerfile", where),
        base_image_registry={key: str(value) for key, value in registry.items() if value is not None},
        shm_size=_text(table, "shm_size", where, default="2g"),
        arguments=tuple(map(str, arguments)),
    )


def _table(content: object, where: str) -> Mapping[str, object]:
    """The object with its keys in snake_case; empty for null."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise UserErrorException(f"{where} must be an object, not {content!r}.")
    return {_snake(str(key)): value for key, value in content.items()}


def _variables(content: object, where: str) -> dict[str, str]:
    if content is not None and not isinstance(content, Mapping):
        raise UserErrorException(f"{where}: 'environmentVariables' must be an object of strings.")
    return {str(key): str(value) for key, value in (content or {}).items()}


def _text(table: Mapping[str, object], key: str, where: str, *, default: str | None = None) -> str | None:
    value = table.get(key, default)
    if value is not None and not isinstance(value, str):
        raise UserErrorException(f"{where}: '{_camel(key)}' must be text, not {value!r}.")
    return value


def _claim(table: Mapping[str, object], key: str, where: str) -> bool:
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise UserErrorException(f"{where}: '{_camel(key)}' must be true or false, not {value!r}.")
    return bool(value)


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), key)


def _camel(key: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), key)

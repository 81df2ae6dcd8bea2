"""Run configurations as files: ``.azureml/<name>.runconfig``, YAML with v1's keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from modelport.domain.errors import UserErrorException
from modelport.environments.definition_json import definition_from_json, definition_to_json
from modelport.environments.specification import conda_to_yaml, read_conda_file, read_text
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment import Environment

if TYPE_CHECKING:
    from modelport.sdk.runs.run_configuration import RunConfiguration

ENDING = ".runconfig"
FOLDERS = (".azureml", "aml_config")
"""Where v1 kept them, now and at first."""

_PLAIN = {
    "script": "script",
    "arguments": "arguments",
    "command": "command",
    "target": "target",
    "framework": "framework",
    "communicator": "communicator",
    "nodeCount": "node_count",
    "maxRunDurationSeconds": "max_run_duration_seconds",
    "autoPrepareEnvironment": "auto_prepare_environment",
    "environmentVariables": "environment_variables",
}
"""Keys of the file, and attributes of the object, that are the same values."""


def save(configuration: RunConfiguration, path: str, name: str) -> None:
    """Write the file, and, where the environment has one, the conda file that it names."""
    folder = Path(path) / FOLDERS[0]
    folder.mkdir(parents=True, exist_ok=True)
    content = {key: getattr(configuration, attribute) for key, attribute in _PLAIN.items()}
    content["target"] = getattr(configuration.target, "name", configuration.target)
    content["arguments"] = [str(argument) for argument in configuration.arguments]
    content["environment"] = _environment(configuration.environment, Path(path), name)
    content["mpi"] = {"processCountPerNode": configuration.mpi.process_count_per_node}
    content["docker"] = {"useDocker": configuration.docker.use_docker}
    (folder / f"{name}{ENDING}").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _environment(environment: Environment, path: Path, name: str) -> dict[str, Any]:
    definition = environment.to_definition()
    content = definition_to_json(definition, version=environment.version)
    content["python"]["condaDependencies"] = None
    if definition.python.conda is not None:
        relative = f"{FOLDERS[0]}/{name}_conda_dependencies.yml"
        (path / relative).write_text(conda_to_yaml(definition.python.conda), encoding="utf-8")
        content["python"]["condaDependenciesFile"] = relative
    return content


def find(path: str, name: str | None) -> Path:
    """The file. Raises UserErrorException, saying where was looked."""
    given = Path(path)
    if given.is_file():
        return given
    file_name = f"{str(name).removesuffix(ENDING)}{ENDING}"
    looked = [given / folder / file_name for folder in (*FOLDERS, ".")]
    for file in looked:
        if name is not None and file.is_file():
            return file
    raise UserErrorException(
        f"There is no run configuration {name!r} in {given.absolute()}.", hint=f"It would be {looked[0]}."
    )


def fill(configuration: RunConfiguration, file: Path) -> None:
    """Set what the file says; unknown keys are passed over. Raises UserErrorException where it is not understood."""
    content = _read(file)
    for key, attribute in _PLAIN.items():
        if content.get(key) is not None:
            setattr(configuration, attribute, content[key])
    if isinstance(content.get("arguments"), str):
        configuration.arguments = content["arguments"].split()
    environment = content.get("environment")
    if isinstance(environment, Mapping):
        configuration.environment = _read_environment(environment, file)
    mpi, docker = content.get("mpi") or {}, content.get("docker") or {}
    configuration.mpi.process_count_per_node = mpi.get("processCountPerNode", 1)
    configuration.docker.use_docker = bool(docker.get("useDocker", False))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise UserErrorException(f"{file} is not valid YAML: {error}.") from error
    if not isinstance(content, dict):
        raise UserErrorException(f"{file} is no run configuration: it has no keys such as 'script' and 'environment'.")
    return content


def _read_environment(content: Mapping[str, Any], file: Path) -> Environment:
    python = dict(content.get("python") or {})
    conda_file = python.pop("condaDependenciesFile", None)
    named = {"name": file.name.removesuffix(ENDING), **content, "python": python}
    named["name"] = named["name"] or file.name.removesuffix(ENDING)
    environment = Environment.from_definition(definition_from_json(named, where=str(file)))
    if conda_file and not environment.python.user_managed_dependencies:
        environment.python.conda_dependencies = CondaDependencies.from_specification(
            read_conda_file(str(_conda_file(conda_file, file)))
        )
    return environment


def _conda_file(named: str, file: Path) -> Path:
    """Relative to the folder that holds ``.azureml``, to the file's own folder, or to where the program is."""
    places = [file.parent.parent / named, file.parent / named, Path(named)]
    return next((place for place in places if place.is_file()), places[0])

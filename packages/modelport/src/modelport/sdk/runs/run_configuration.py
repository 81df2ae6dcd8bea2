"""How a script is run: its environment and where, in the spellings of 2019 and later (azureml-v1 reference, 2.12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from modelport.domain.environments import EnvironmentDefinition
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment import Environment
from modelport.sdk.runs import run_configuration_file

DEFAULT_ENVIRONMENT = "default-environment"


class DockerConfiguration:
    """Whether a script runs in a container, and how. Accepted; scripts run as processes of this machine, and say so."""

    def __init__(
        self,
        use_docker: bool = False,
        shared_volumes: bool = True,
        arguments: Sequence[str] | None = None,
        shm_size: str | None = None,
    ) -> None:
        self.use_docker = use_docker
        self.shared_volumes = shared_volumes
        self.arguments = list(arguments or ())
        self.shm_size = shm_size


@dataclass
class HistoryConfiguration:
    """What is recorded. Everything always is."""

    output_collection: bool = True
    snapshot_project: bool = True
    directories_to_watch: list[str] = field(default_factory=lambda: ["logs"])


@dataclass
class AmlComputeConfiguration:
    """The cluster that v1 made for a run. Scripts run on this machine, and say so where this names a size."""

    name: str | None = None
    vm_size: str | None = None
    vm_priority: str | None = None
    retain_cluster: bool = False
    cluster_max_node_count: int | None = None


@dataclass
class MpiConfiguration:
    """How many processes of a script run together: one is what runs here, more are refused."""

    process_count_per_node: int = 1
    node_count: int = 1


@dataclass
class DataReferenceConfiguration:
    """A place on a datastore for ``RunConfiguration.data_references``, in the spelling of 2019."""

    datastore_name: str | None = None
    mode: str = "mount"
    path_on_datastore: str | None = None
    path_on_compute: str | None = None
    overwrite: bool = False


class RunConfiguration:
    """The environment of a script, its compute target, and the script and its arguments where nothing else does."""

    _environment_class: type[Environment] = Environment

    def __init__(
        self,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        framework: str | None = None,
        communicator: str | None = None,
        conda_dependencies: CondaDependencies | None = None,
        _history_enabled: object = None,
        _path: str | None = None,
        _name: str | None = None,
        command: str | Sequence[Any] | None = None,
    ) -> None:
        self.name = _name
        self.script = script
        self.arguments = list(arguments or ())
        self.command = command
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.target: Any = "local"
        self.environment = self._environment_class(DEFAULT_ENVIRONMENT)
        self.docker = DockerConfiguration()
        self.history = HistoryConfiguration()
        self.amlcompute = AmlComputeConfiguration()
        self.mpi = MpiConfiguration()
        self.node_count = 1
        self.max_run_duration_seconds: float | None = None
        self.auto_prepare_environment = True
        self.environment_variables: dict[str, str] = {}
        self.data_references: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.source_directory_data_store: str | None = None
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies

    @property
    def prepare_environment(self) -> bool:
        """``auto_prepare_environment`` in the spelling of 2018. Environments are made when they are needed."""
        return self.auto_prepare_environment

    @prepare_environment.setter
    def prepare_environment(self, value: bool) -> None:
        self.auto_prepare_environment = value

    def definition(self) -> EnvironmentDefinition | None:
        """The environment that is asked for. None where it is as it was made: then nothing was asked for, and a script
        runs in the interpreter that submits it.

        Raises UserErrorException where what is set contradicts itself, FileNotFoundError where a file is missing.
        """
        asked = self.environment.to_definition()
        untouched = self._environment_class(DEFAULT_ENVIRONMENT).to_definition()
        return None if asked == untouched else asked

    # --- files --------------------------------------------------------------------------------------------------------

    def save(self, path: str | None = None, name: str | None = None, separate_environment_yaml: bool = False) -> None:
        """Write ``<path>/.azureml/<name>.runconfig``, and its conda file beside it."""
        run_configuration_file.save(self, path or ".", name or self.name or "local")

    @classmethod
    def load(cls, path: str, name: str | None = None) -> Self:
        """What ``save`` or v1 wrote; ``path`` is the folder, or the file. Raises UserErrorException, naming the file,
        where it is not there or not understood."""
        file = run_configuration_file.find(path, name)
        configuration = cls(_name=file.name.removesuffix(run_configuration_file.ENDING))
        run_configuration_file.fill(configuration, file)
        return configuration

    @staticmethod
    def delete(path: str, name: str) -> None:
        """Remove the file that ``save`` wrote. Raises UserErrorException where there is none."""
        run_configuration_file.find(path, name).unlink()

    def __repr__(self) -> str:
        return (
            f"RunConfiguration(target={self.target!r}, environment={self.environment.name!r}, script={self.script!r})"
        )

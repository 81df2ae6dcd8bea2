"""Estimators of ``azureml.train``: another spelling of a ScriptRunConfig, common in 2019."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.environments.specification import read_requirements
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment import Environment
from modelport.sdk.runs.run_configuration import DockerConfiguration, RunConfiguration
from modelport.sdk.runs.script_run_config import ScriptRunConfig


class Estimator:
    """A script, its parameters, and the packages that it needs."""

    _packages: tuple[str, ...] = ()
    """Requirements that come with the class."""

    def __init__(
        self,
        source_directory: str,
        *,
        compute_target: Any = None,
        vm_size: str | None = None,
        vm_priority: str | None = None,
        entry_script: str | None = None,
        script_params: Mapping[str, Any] | None = None,
        node_count: int = 1,
        process_count_per_node: int = 1,
        distributed_backend: str | None = None,
        distributed_training: Any = None,
        use_gpu: bool = False,
        use_docker: bool = True,
        custom_docker_base_image: str | None = None,
        custom_docker_image: str | None = None,
        image_registry_details: object = None,
        user_managed: bool = False,
        conda_packages: Sequence[str] | None = None,
        pip_packages: Sequence[str] | None = None,
        conda_dependencies_file_path: str | None = None,
        pip_requirements_file_path: str | None = None,
        conda_dependencies_file: str | None = None,
        pip_requirements_file: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        environment_definition: Environment | None = None,
        inputs: Sequence[Any] | None = None,
        source_directory_data_store: object = None,
        shm_size: str | None = None,
        resume_from: object = None,
        max_run_duration_seconds: float | None = None,
    ) -> None:
        """Raises UserErrorException where ``entry_script`` is missing, or a file cannot be read."""
        if not entry_script:
            raise UserErrorException("An estimator needs entry_script.", hint='Estimator(".", entry_script="train.py")')
        settings = RunConfiguration()
        settings.target = compute_target if compute_target is not None else "local"
        settings.node_count = node_count
        settings.mpi.process_count_per_node = process_count_per_node
        settings.amlcompute.vm_size = vm_size
        settings.max_run_duration_seconds = max_run_duration_seconds
        settings.docker = DockerConfiguration(use_docker=use_docker and _is_cluster(settings.target), shm_size=shm_size)
        settings.data, settings.data_references = _data_and_references(inputs or ())
        if environment_definition is not None:
            settings.environment = environment_definition
        else:
            conda_file = conda_dependencies_file or conda_dependencies_file_path
            pip_file = pip_requirements_file or pip_requirements_file_path
            python = settings.environment.python
            python.user_managed_dependencies = user_managed
            python.conda_dependencies = self._dependencies(conda_packages, pip_packages, conda_file, pip_file)
            settings.environment.environment_variables.update(environment_variables or {})
        self.run_config = settings
        self.source_directory = source_directory
        self._entry_script = entry_script
        self._script_params = dict(script_params or {})
        self._resume_from = resume_from

    def _dependencies(
        self,
        conda_packages: Sequence[str] | None,
        pip_packages: Sequence[str] | None,
        conda_file: str | None,
        pip_file: str | None,
    ) -> CondaDependencies:
        if conda_file is not None:
            made = CondaDependencies(conda_dependencies_file_path=conda_file)
        else:
            made = CondaDependencies.create(conda_packages=conda_packages, pip_packages=self._packages)
        for package in [*(pip_packages or ()), *(read_requirements(pip_file) if pip_file else ())]:
            made.add_pip_package(package)
        return made

    @property
    def conda_dependencies(self) -> CondaDependencies | None:
        return self.run_config.environment.python.conda_dependencies

    def script_run_config(self) -> ScriptRunConfig:
        """The same as a ScriptRunConfig: a parameter without a value (an empty text) is a flag."""
        arguments: list[Any] = []
        for name, value in self._script_params.items():
            arguments += [name] if isinstance(value, str) and value == "" else [name, value]
        return ScriptRunConfig(
            self.source_directory,
            script=self._entry_script,
            arguments=arguments,
            run_config=self.run_config,
            resume_from=self._resume_from,
        )


class SKLearn(Estimator):
    """An estimator with scikit-learn."""

    DEFAULT_VERSION = "0.20.3"

    def __init__(self, source_directory: str, *, framework_version: str | None = None, **kwargs: Any) -> None:
        """``framework_version``: the version of scikit-learn, by default v1's. For the rest see Estimator."""
        self._packages = (f"scikit-learn=={framework_version or self.DEFAULT_VERSION}", "numpy", "scipy", "joblib")
        super().__init__(source_directory, **kwargs)


def _data_and_references(inputs: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    data = {each.name: each for each in inputs if hasattr(each, "dataset")}
    return data, {str(each): each for each in inputs if not hasattr(each, "dataset")}


def _is_cluster(target: object) -> bool:
    return getattr(target, "name", target) != "local"

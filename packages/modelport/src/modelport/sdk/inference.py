"""What code a deployment runs, and in which environment (azureml-v1 reference, 2.3)."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import WebserviceException
from modelport.sdk.environment import Environment
from modelport.sdk.legacy_environment import check_runtime, legacy_environment, set_base
from modelport.usecases.validate_inference import CheckedInference, resolve_below, validate_inference

_LEGACY_ENVIRONMENT = "inference"


class InferenceConfig:
    """The entry script, the folder that is shipped with it, and the environment they need.

    Two styles exclude each other: ``environment=``, or the older ``runtime=``, ``conda_file=`` and their companions.
    """

    def __init__(
        self,
        entry_script: str,
        runtime: str | None = None,
        conda_file: str | None = None,
        extra_docker_file_steps: str | None = None,
        source_directory: str | None = None,
        enable_gpu: bool | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: object = None,
        cuda_version: str | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.entry_script = entry_script
        self.runtime = runtime
        self.conda_file = conda_file
        self.extra_docker_file_steps = extra_docker_file_steps
        self.source_directory = None if source_directory is None else str(Path(source_directory).absolute())
        self.enable_gpu = enable_gpu
        self.description = description
        self.base_image = base_image
        self.base_image_registry = base_image_registry
        self.cuda_version = cuda_version
        self.environment = environment

    def validate_configuration(self) -> CheckedInference:
        """Check everything that can be checked before a deployment; returns the code with absolute paths.

        Raises WebserviceException for options that exclude each other, values that are not allowed and files that are
        missing; UserErrorException for a syntax error in the script.
        """
        self._check_style()
        check_runtime(self.runtime, self.cuda_version)
        source = None if self.source_directory is None else Path(self.source_directory)
        for what, given in (("conda file", self.conda_file), ("docker steps file", self.extra_docker_file_steps)):
            if given is not None and (source is None or source.is_dir()):
                resolve_below(source, given, what=what, is_shipped=False)
        return validate_inference(
            self.entry_script,
            self.source_directory,
            description=self.description,
            environment=self.environment_definition(),
        )

    def validation_script_content(self) -> None:
        """Check the entry script alone. Raises as ``validate_configuration`` does."""
        validate_inference(self.entry_script, self.source_directory, environment=self.environment_definition())

    def _check_style(self) -> None:
        if self.environment is None:
            return
        legacy = {
            "runtime": self.runtime,
            "conda_file": self.conda_file,
            "extra_docker_file_steps": self.extra_docker_file_steps,
            "enable_gpu": self.enable_gpu,
            "cuda_version": self.cuda_version,
            "base_image": self.base_image,
        }
        given = [name for name, value in legacy.items() if value]
        if given:
            raise WebserviceException(
                f"Invalid inference configuration: {', '.join(given)} cannot be combined with an environment object.",
                hint="Put what they say into the environment, or leave environment= out.",
            )

    def environment_definition(self) -> EnvironmentDefinition | None:
        """The environment that the code needs, of either style; None for the caller's own interpreter."""
        if self.environment is not None:
            return self.environment.to_definition()
        source = None if self.source_directory is None else Path(self.source_directory)
        path = (
            None
            if self.conda_file is None
            else resolve_below(source, self.conda_file, what="conda file", is_shipped=False)
        )
        environment = legacy_environment(_LEGACY_ENVIRONMENT, runtime=self.runtime, conda_file=path)
        if environment is None:
            return None
        steps = self.extra_docker_file_steps
        file = None if steps is None else resolve_below(source, steps, what="docker steps file", is_shipped=False)
        set_base(environment, self.base_image, self.base_image_registry, file)
        return environment.to_definition()

    def without_effect(self) -> list[str]:
        """What is asked for that only an image could have: a service on this machine runs without one."""
        asked = {
            "extra_docker_file_steps": self.extra_docker_file_steps,
            "base_image": self.base_image,
            "base_image_registry": self.base_image_registry,
            "cuda_version": self.cuda_version,
            "runtime": str(self.runtime).lower() == "spark-py" and "it runs as Python",
        }
        of_environment = () if self.environment is None else self.environment.without_effect()
        return [*(name for name, value in asked.items() if value), *of_environment]

    def __repr__(self) -> str:
        source = self.source_directory
        return f"InferenceConfig(entry_script={self.entry_script!r}, source_directory={source!r})"

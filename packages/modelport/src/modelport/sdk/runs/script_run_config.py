"""A script to be submitted, and all that it needs (azureml-v1 reference, 2.12)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import UserErrorException
from modelport.sdk.environment import Environment
from modelport.sdk.runs.run_configuration import DockerConfiguration, MpiConfiguration, RunConfiguration

MAX_RUN_DURATION_SECONDS_DEFAULT = 2_592_000
"""Thirty days, as in v1."""


class ScriptRunConfig:
    """``Experiment.submit`` runs it. What is not given is taken from ``run_config``."""

    def __init__(
        self,
        source_directory: str | None = None,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        run_config: RunConfiguration | None = None,
        _telemetry_values: object = None,
        compute_target: Any = None,
        environment: Environment | None = None,
        distributed_job_config: MpiConfiguration | None = None,
        resume_from: object = None,
        max_run_duration_seconds: float = MAX_RUN_DURATION_SECONDS_DEFAULT,
        command: str | Sequence[Any] | None = None,
        docker_runtime_config: DockerConfiguration | None = None,
    ) -> None:
        """``arguments`` may hold numbers, data sets and places on datastores beside texts. ``command`` runs instead of
        a script. Without an environment, or with one that installs nothing, the script runs in the interpreter that
        submits it.

        Raises UserErrorException where nothing says what to run, or both a script and a command do.
        """
        self.run_config = copy(run_config) if run_config else RunConfiguration()  # scripts pass '' for none
        self.source_directory = source_directory or "."
        self.script = script if script is not None or command is not None else self.run_config.script
        self.command = command if command is not None or script is not None else self.run_config.command
        self.arguments = list(self.run_config.arguments if arguments is None else arguments)
        self.compute_target = compute_target
        self.distributed_job_config = distributed_job_config
        self.resume_from = resume_from
        self.max_run_duration_seconds = max_run_duration_seconds
        if environment is not None:
            self.run_config.environment = environment
        if docker_runtime_config is not None:
            self.run_config.docker = docker_runtime_config
        if distributed_job_config is not None:
            self.run_config.node_count = distributed_job_config.node_count
        if self.command is None and not self.script:
            raise UserErrorException("Nothing says what to run.", hint='ScriptRunConfig(".", script="train.py")')
        if self.command is not None and self.script:
            raise UserErrorException("script and command exclude each other.", hint="Give one.")
        if self.command is not None and self.arguments:
            raise UserErrorException("A command has its arguments in itself.", hint="Put them into command.")

    @property
    def target_name(self) -> str:
        """The name of the compute target: ``local`` where none is given."""
        target = self.compute_target if self.compute_target is not None else self.run_config.target
        return str(getattr(target, "name", target) or "local")

    def definition(self) -> EnvironmentDefinition | None:
        """See ``RunConfiguration.definition``."""
        return self.run_config.definition()

    def __repr__(self) -> str:
        return (
            f"ScriptRunConfig(source_directory={self.source_directory!r}, script={self.script!r}, "
            f"arguments={self.arguments!r}, compute_target={self.target_name!r})"
        )

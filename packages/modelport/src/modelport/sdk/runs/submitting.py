"""From a configuration to a submission: checks, inputs, snapshot."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml._data.consumption import DIRECT, DatasetConsumptionConfig
from azureml._data.datasets import AbstractDataset, id_of
from azureml._data.datastores import Datastore
from azureml._data.output import OutputFileDatasetConfig
from azureml._data.references import DataReference
from azureml._runs.folder import RunFolder
from modelport.domain.errors import UserErrorException
from modelport.environments.python_request import may_have_newer_syntax
from modelport.sdk.runs.run_configuration import DataReferenceConfiguration
from modelport.sdk.runs.script_run_config import ScriptRunConfig
from modelport.usecases.data_sets import save_dataset
from modelport.usecases.snapshots import take_snapshot
from modelport.usecases.submission import Argument, Input, Submission
from modelport.usecases.submit_run import submit_run

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace

_LOCAL = "local"


def submit(
    workspace: Workspace,
    experiment: str,
    config: object,
    *,
    tags: Mapping[str, object] | None = None,
    parent: RunFolder | None = None,
    **unknown: object,
) -> RunFolder:
    """Start the run. Raises UserErrorException, before anything is started, for what cannot run or is not there."""
    script = _script_of(config, unknown)
    _check_script(script)
    _check_can_run(script)
    target = script.target_name
    inputs = _Inputs(workspace)
    arguments = [inputs.argument(each) for each in script.arguments]
    command = script.command
    if command is not None and not isinstance(command, str):
        command = [inputs.argument(each) for each in command]
    inputs.add_references(script.run_config.data_references)
    for each in script.run_config.data.values():
        inputs.argument(each)
    snapshot = take_snapshot(workspace.context, Path(script.source_directory))
    assert snapshot is not None
    submission = Submission(
        script=script.script,
        command=command,
        arguments=arguments,
        snapshot=snapshot,
        environment=script.definition(),
        environment_variables=_variables(script),
        inputs=inputs.paths,
        longest_s=script.run_config.max_run_duration_seconds or script.max_run_duration_seconds,
        notes=_notes(script, target, inputs.paths),
    )
    return submit_run(
        workspace.context,
        experiment,
        submission,
        target=target,
        parent=parent,
        tags={str(key): None if value is None else str(value) for key, value in (tags or {}).items()},
        properties={"ContentSnapshotId": snapshot},
        inputs=inputs.datasets,
        definition=_run_definition(script, submission, target),
    )


def _script_of(config: object, unknown: Mapping[str, object]) -> ScriptRunConfig:
    if unknown:
        raise TypeError(f"submit() got an unexpected keyword argument {next(iter(unknown))!r}")
    made = config.script_run_config() if hasattr(config, "script_run_config") else config
    if not isinstance(made, ScriptRunConfig):
        raise UserErrorException(
            f"{type(config).__name__} cannot be submitted.",
            hint="Scripts can: ScriptRunConfig(source_directory, script), or an Estimator. Pipelines, HyperDrive and "
            "AutoML are not run here.",
        )
    return made


def _check_script(config: ScriptRunConfig) -> None:
    """What is wrong with it shows here, and not in a log later."""
    if config.script is None:
        return
    source = Path(config.source_directory)
    script = source / config.script
    if not script.is_file():
        hint = (
            f"The folder holds: {', '.join(sorted(each.name for each in source.iterdir())[:20])}."
            if source.is_dir()
            else ""
        )
        raise UserErrorException(f"There is no script {config.script!r} in {source.absolute()}.", hint=hint)
    if script.suffix != ".py" or may_have_newer_syntax(config.definition()):
        return
    try:
        ast.parse(script.read_bytes(), filename=str(script))
    except SyntaxError as error:
        raise UserErrorException(f"{script}:{error.lineno}: {error.msg}.", hint="Mend the script.") from error


def _check_can_run(config: ScriptRunConfig) -> None:
    settings = config.run_config
    distributed = config.distributed_job_config
    processes = getattr(distributed, "process_count_per_node", None) or settings.mpi.process_count_per_node
    if settings.node_count > 1 or processes > 1:
        raise UserErrorException(
            f"{settings.node_count} nodes with {processes} processes each are asked for; a script is one process of "
            "this machine.",
            hint="Use node_count=1 and one process. The script may start processes itself.",
        )
    if settings.framework.lower() == "pyspark":
        raise UserErrorException("The framework PySpark is asked for, and nothing here runs on Spark.")
    if config.resume_from is not None:
        raise UserErrorException("resume_from is not understood here.", hint="Give the script the path as an argument.")


def _notes(config: ScriptRunConfig, target: str, inputs: Iterable[Input]) -> list[str]:
    """What was asked for and is otherwise here."""
    notes = [
        f"The input {each.name!r} is not at {each.path_on_compute}, but below the script's working directory."
        for each in inputs
        if each.path_on_compute and each.path_on_compute.startswith("/")
    ]
    if target != _LOCAL:
        notes.append(f"The compute target {target!r} is this machine: the script runs here.")
    settings = config.run_config
    if settings.docker.use_docker or settings.environment.docker.enabled:
        notes.append("Docker is not used: the script runs as a process of this machine.")
    if settings.amlcompute.vm_size:
        notes.append(f"No machine of size {settings.amlcompute.vm_size} is made: the script runs on this one.")
    if settings.environment.docker.base_dockerfile:
        notes.append("The environment's Dockerfile is not used: its Python packages are what the script gets.")
    return notes


def _variables(config: ScriptRunConfig) -> dict[str, str]:
    own = config.run_config.environment.environment_variables
    both = {**own, **config.run_config.environment_variables}
    return {str(name): str(value) for name, value in both.items()}


def _run_definition(config: ScriptRunConfig, submission: Submission, target: str) -> dict[str, Any]:
    return {
        "script": submission.script,
        "command": submission.command,
        "arguments": [each if isinstance(each, str) else f"${each['input']}" for each in submission.arguments],
        "framework": config.run_config.framework,
        "communicator": config.run_config.communicator,
        "target": target,
        "maxRunDurationSeconds": submission.longest_s,
        "nodeCount": 1,
        "environment": submission.environment_json(),
    }


@dataclass
class _Inputs:
    """What the script's arguments name: paths to be made ready, and data sets for ``run.input_datasets``."""

    workspace: Workspace
    paths: list[Input] = field(default_factory=list)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def argument(self, value: Any) -> Argument:
        """What the script gets for it."""
        if isinstance(value, DataReference):
            return self._path(_of_reference(value))
        if isinstance(value, OutputFileDatasetConfig):
            return self._path(self._of_output(value))
        if isinstance(value, AbstractDataset):
            return self._dataset(DatasetConsumptionConfig(None, value))
        if isinstance(value, DatasetConsumptionConfig):
            return self._dataset(value)
        return str(value)

    def add_references(self, references: Mapping[str, DataReference | DataReferenceConfiguration]) -> None:
        """Places that arguments name as ``$AZUREML_DATAREFERENCE_<name>``, if at all."""
        for name, each in references.items():
            if isinstance(each, DataReference):
                self.argument(each)
                continue
            datastore = Datastore(self.workspace, each.datastore_name)
            self.argument(
                DataReference(datastore, name, each.path_on_datastore, each.mode, each.path_on_compute, each.overwrite)
            )

    def _path(self, given: Input) -> Argument:
        if all(known.name != given.name for known in self.paths):
            self.paths.append(given)
        return {"input": given.name}

    def _of_output(self, output: OutputFileDatasetConfig) -> Input:
        datastore, path = output.destination or (None, None)
        store = datastore or Datastore.get_default(self.workspace)
        reference = store.path(path or f"dataset/{output.name}", output.name).as_upload()
        return _of_reference(reference)

    def _dataset(self, given: DatasetConsumptionConfig) -> Argument:
        dataset = given.dataset
        definition = dict(dataset._definition)
        save_dataset(self.workspace.context, definition)
        is_path = given.mode != DIRECT
        self.datasets[given.name] = {
            "id": id_of(definition),
            "definition": definition,
            "registered": dict(dataset._registered) if dataset.name else {},
            "local_path": f"work/{given.path_on_compute}" if given.path_on_compute else f"inputs/{given.name}",
            "is_path": is_path,
        }
        if not is_path:
            return id_of(definition)
        if definition["kind"] != "file":
            raise UserErrorException(
                f"The input {given.name!r} is tabular, and only files can be mounted or downloaded.",
                hint="Leave as_mount() or as_download() out: run.input_datasets has the data set.",
            )
        return self._path(
            Input(name=given.name, mode=given.mode, definition=definition, path_on_compute=given.path_on_compute)
        )


def _of_reference(reference: DataReference) -> Input:
    return Input(
        name=reference.data_reference_name,
        mode=reference.mode,
        path=reference.local_path,
        path_on_compute=reference.path_on_compute,
    )

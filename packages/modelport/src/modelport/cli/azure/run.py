"""``az ml run`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from azureml._runs.run import Run
from modelport.cli.azure.command import FORWARDING, az_command
from modelport.cli.azure.session import speaking_on_stderr
from modelport.cli.command import group
from modelport.cli.options import AddTags, MetadataFile, pairs, write_metadata
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.runs import Experiment, ScriptRunConfig
from modelport.sdk.v1.conda_dependencies import CondaDependencies
from modelport.sdk.v1.run_configuration import RunConfiguration
from modelport.sdk.workspace_config import attached_experiment

app = group("Submit scripts as runs of experiments, and look at them.")

_COLUMNS = ("runId", "number", "experimentName", "status", "startTimeUtc", "target")

RunId = Annotated[str, typer.Option("--run", "-r", help="Id of the run.")]
ExperimentName = Annotated[
    str | None, typer.Option("--experiment-name", "-e", help="Its experiment; that of the attached folder without.")
]
AnyExperiment = Annotated[str | None, typer.Option("--experiment-name", "-e", help="Its experiment.")]


@az_command(app, "submit-script", FORWARDING)
def submit_script(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="The script and its arguments; those of the run configuration without.", metavar="SCRIPT ARGUMENTS"
        ),
    ] = None,
    experiment_name: ExperimentName = None,
    run_configuration_name: Annotated[
        str | None,
        typer.Option("--run-configuration-name", "-c", help="Name of a file in .azureml, as NAME.runconfig."),
    ] = None,
    source_directory: Annotated[
        str | None, typer.Option("--source-directory", help="Folder of the script; --path without.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "--ct", help="Compute target: a name, the script runs on this machine.")
    ] = None,
    conda_dependencies: Annotated[
        Path | None, typer.Option("--conda-dependencies", "-d", help="Conda file with the script's dependencies.")
    ] = None,
    is_async: Annotated[bool, typer.Option("--async", help="Return while the script runs.")] = False,
    output_metadata_file: MetadataFile = None,
) -> object:
    """Run a script on this machine as a run of an experiment, showing what it prints, and wait for its end.

    Options of this command come before the script; all that follows the script is the script's.
    """
    experiment = Experiment(session.workspace, experiment_name or _attached(session))
    configuration = _configuration(session, run_configuration_name, conda_dependencies)
    script, arguments = (words[0], words[1:]) if words else (None, None)
    if script is None and not (configuration.script or configuration.command):
        raise UserErrorException(
            "Nothing says which script is to run.",
            hint="Give it after the options, or as 'script' in the run configuration that -c names.",
        )
    run = experiment.submit(
        ScriptRunConfig(
            source_directory or session.path,
            script,
            arguments,
            run_config=configuration,
            compute_target=target,
        )
    )
    write_metadata(output_metadata_file, {"runId": run.id, "experimentName": experiment.name})
    if not is_async:
        with speaking_on_stderr():
            run.wait_for_completion(show_output=not session.only_show_errors)
    return _shown(run)


def _attached(session: Session) -> str:
    name = attached_experiment(session.path)
    if name is None:
        raise UserErrorException(
            "The run needs an experiment.",
            hint="Give --experiment-name NAME (-e NAME), or attach the folder to one: az ml folder attach -e NAME.",
        )
    return name


def _configuration(session: Session, name: str | None, conda_file: Path | None) -> RunConfiguration:
    configuration = RunConfiguration() if name is None else RunConfiguration.load(session.path, name)
    if conda_file is not None:
        configuration.environment.python.user_managed_dependencies = False
        configuration.environment.python.conda_dependencies = CondaDependencies(str(conda_file))
    return configuration


@az_command(app, "list")
def list_(
    session: Session,
    experiment_name: AnyExperiment = None,
    last: Annotated[int, typer.Option("--last", min=1, help="At most so many, the newest first.")] = 10,
    status: Annotated[str | None, typer.Option("--status", help="Only with this status: Completed, Failed, …")] = None,
    compute_target_name: Annotated[
        str | None, typer.Option("--compute-target-name", "-t", help="Only those sent to this compute target.")
    ] = None,
    parent_run_id: Annotated[str | None, typer.Option("--parent-run-id", "-p", help="Only children of it.")] = None,
    pipeline_run_id: Annotated[
        str | None, typer.Option("--pipeline-run-id", "-i", help="Only children of it, as --parent-run-id.")
    ] = None,
) -> object:
    """List the runs of an experiment, or of all."""
    parent = parent_run_id or pipeline_run_id
    found = (_row(run) for run in _runs(session, experiment_name, parent))
    fitting = (row for row in found if status in (None, row["status"]) and compute_target_name in (None, row["target"]))
    newest = sorted(fitting, key=lambda row: str(row["startTimeUtc"] or ""), reverse=True)
    return Result(newest[:last], columns=_COLUMNS)


def _runs(session: Session, experiment_name: str | None, parent: str | None) -> Iterator[Run]:
    if parent is not None:
        return session.workspace.get_run(parent).get_children()
    if experiment_name is not None:
        return Experiment(session.workspace, experiment_name).get_runs()
    return itertools.chain.from_iterable(each.get_runs() for each in session.workspace.experiments.values())


@az_command(app, "show")
def show(session: Session, run: RunId, experiment_name: AnyExperiment = None) -> object:
    """Show one run."""
    return _shown(_found(session, run, experiment_name))


@az_command(app, "cancel")
def cancel(session: Session, run: RunId, experiment_name: AnyExperiment = None) -> object:
    """Stop a run."""
    found = _found(session, run, experiment_name)
    found.cancel()
    return _shown(found)


@az_command(app, "update")
def update(session: Session, run: RunId, experiment_name: AnyExperiment = None, add_tags: AddTags = None) -> object:
    """Add tags to a run."""
    found = _found(session, run, experiment_name)
    if not add_tags:
        raise UserErrorException("Nothing to update was given.", hint="For example: --add-tag stage=production.")
    found.set_tags(pairs(add_tags, "--add-tag"))
    return _shown(found)


@az_command(app, "monitor-logs")
def monitor_logs(session: Session, run: RunId, experiment_name: AnyExperiment = None) -> None:
    """Show what the run's script prints until it ends."""
    _found(session, run, experiment_name).wait_for_completion(show_output=True, raise_on_error=False)


@az_command(app, "download-logs")
def download_logs(
    session: Session,
    run: RunId,
    experiment_name: AnyExperiment = None,
    output_dir: Annotated[str | None, typer.Option("--output-dir", "-d", help="Where to; ./RUN without.")] = None,
) -> object:
    """Copy the run's logs into a folder."""
    return Result(_found(session, run, experiment_name).get_all_logs(output_dir))


def _found(session: Session, run_id: str, experiment_name: str | None) -> Run:
    found = session.workspace.get_run(run_id)
    if experiment_name not in (None, found.experiment.name):
        raise UserErrorException(f"The run {run_id} is of the experiment {found.experiment.name!r}.")
    return found


def _row(run: Run) -> dict[str, Any]:
    details = run.get_details()
    keys = ("runId", "status", "target", "startTimeUtc", "endTimeUtc", "properties", "error", "logFiles")
    own = {"number": run.number, "experimentName": run.experiment.name, "tags": run.tags}
    return {**{key: details.get(key) for key in keys}, **own}


def _shown(run: Run) -> Result:
    return Result(_row(run), columns=_COLUMNS)

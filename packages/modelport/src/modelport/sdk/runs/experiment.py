"""Experiments: runs under a name (azureml-v1 reference, 2.12)."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml._runs import interactive, statuses
from azureml._runs.folder import RunFolder
from azureml._runs.making import (
    check_experiment_name,
    experiment_names,
    make_run,
    open_experiment_document,
)
from azureml._runs.moments import now
from azureml._runs.run import Run, ScriptRun
from azureml._runs.selection import Labels, selected
from modelport.domain.errors import UserErrorException
from modelport.sdk.runs.submitting import submit
from modelport.usecases.snapshots import Limit, take_snapshot

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace

_LARGEST_SNAPSHOT = Limit(files=2_000, total_bytes=300 * 1024 * 1024)
"""v1's limit. Of an interactive run the snapshot is a help, and not worth more."""

_too_large: set[Path] = set()
"""Folders of which this was said."""


class Experiment:
    """The runs of a workspace that have this name together."""

    def __init__(self, workspace: Workspace, name: str, _skip_name_validation: bool = False, **kwargs: Any) -> None:
        """Made where it is not there. Raises UserErrorException for a name that v1 did not allow."""
        self.workspace = workspace
        self.name = check_experiment_name(name)
        self._folder = str(workspace.folder)
        self._document = open_experiment_document(self._folder, self.name)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return str(self._document.read()["id"])

    @property
    def tags(self) -> dict[str, Any]:
        return dict(self._document.read()["tags"])

    @property
    def archived_time(self) -> str | None:
        """ISO 8601; None where it is not archived."""
        archived: str | None = self._document.read()["archived_time"]
        return archived

    def tag(self, key: str, value: object = None) -> None:
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Add tags, or give them new values."""
        with self._document.change() as content:
            content["tags"].update({str(key): None if value is None else str(value) for key, value in tags.items()})

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        keys = [tags] if isinstance(tags, str) else tags
        with self._document.change() as content:
            for key in keys:
                content["tags"].pop(key, None)

    def refresh(self) -> None:
        """Nothing to do: what an experiment shows is read when it is asked for."""

    def archive(self) -> None:
        """Leave it out of ``list``; its runs stay."""
        with self._document.change() as content:
            content["archived_time"] = now()

    def reactivate(self, new_name: str | None = None) -> None:
        """Take it into ``list`` again. Raises UserErrorException for a new name: an experiment keeps its own."""
        if new_name is not None:
            raise UserErrorException("An experiment keeps its name.", hint="Make another one: Experiment(ws, name).")
        with self._document.change() as content:
            content["archived_time"] = None

    def get_docs_url(self) -> str:
        """Where the experiment is on this machine."""
        return self.get_portal_url()

    def get_portal_url(self) -> str:
        """The address of the experiment's folder: there is no portal of a cloud here."""
        return Path(self._document.path).parent.as_uri()

    # --- finding ------------------------------------------------------------------------------------------------------

    @staticmethod
    def list(
        workspace: Workspace,
        experiment_name: str | None = None,
        view_type: str = "ActiveOnly",
        tags: Labels = None,
    ) -> builtins.list[Experiment]:
        """The experiments that fit; ``view_type``: ActiveOnly, ArchivedOnly or All."""
        found = [Experiment(workspace, name) for name in experiment_names(str(workspace.folder))]
        wanted = {"activeonly": False, "archivedonly": True}.get(str(view_type).lower())
        return [
            each
            for each in found
            if experiment_name in (None, each.name)
            and wanted in (None, each.archived_time is not None)
            and (not tags or _has(each.tags, tags))
        ]

    @staticmethod
    def delete(workspace: Workspace, experiment_id: str) -> None:
        """Remove an experiment without runs. Raises UserErrorException for one that has some, or is not there."""
        for experiment in Experiment.list(workspace, view_type="All"):
            if experiment.id == experiment_id:
                if experiment._runs():
                    raise UserErrorException(f"The experiment {experiment.name!r} has runs, which stay.")
                shutil.rmtree(Path(experiment._document.path).parent)
                return
        raise UserErrorException(f"The workspace {workspace.name!r} has no experiment with id {experiment_id}.")

    def get_runs(
        self,
        type: str | None = None,
        tags: Labels = None,
        properties: Labels = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """The runs that fit, the newest first. ``tags`` and ``properties``: a key, or a dictionary."""
        for folder in selected(self._runs(), type=type, tags=tags, properties=properties):
            if include_children or folder.document.read()["parent"] is None:
                yield open_run(folder, self)

    def _runs(self) -> builtins.list[RunFolder]:
        runs = [RunFolder(self._folder, run_id) for run_id in self._document.read()["runs"]]
        return [run for run in runs if run.exists()]

    # --- running ------------------------------------------------------------------------------------------------------

    def start_logging(
        self,
        outputs: str | bool | None = None,
        snapshot_directory: str | None = ".",
        display_name: str | None = None,
        **kwargs: Any,
    ) -> Run:
        """A run that this program logs to: it runs until ``complete``, ``fail`` or ``cancel``, or the program's end.

        What the program writes into ``./outputs``, which is made for it, and ``./logs`` meanwhile becomes files of the
        run when it ends, unless ``outputs`` is False. The files of ``snapshot_directory`` are kept with it, unless they
        are more than 2,000 files or 300 MiB.
        """
        run = make_run(self._folder, self.name, owned=True, name=display_name, target="local")
        directory = None if outputs is False else str(Path.cwd())
        interactive.keep(run, directory)
        if snapshot_directory is not None:
            self._keep_snapshot(run, Path(snapshot_directory))
        if directory is not None:
            (Path(directory) / "outputs").mkdir(exist_ok=True)
        run.enter(statuses.RUNNING)
        return Run._of(run, self)

    def _keep_snapshot(self, run: RunFolder, folder: Path) -> None:
        snapshot = take_snapshot(self.workspace.context, folder, limit=_LARGEST_SNAPSHOT)
        if snapshot is None:
            if folder.absolute() not in _too_large:
                _too_large.add(folder.absolute())
                self.workspace.context.progress.step(
                    f"No snapshot of {folder.absolute()} is kept: it holds more than 2,000 files or 300 MiB. Name what "
                    "does not belong to it in .amlignore, or use snapshot_directory=None."
                )
            return
        run.change(lambda content: content["properties"].update(ContentSnapshotId=snapshot))

    def submit(self, config: object, tags: Mapping[str, object] | None = None, **kwargs: Any) -> ScriptRun:
        """Run a script on this machine: a ScriptRunConfig, or an Estimator. Returns at once.

        Raises UserErrorException, before anything is started, for what cannot run here or is not there.
        """
        return self._submit(config, tags=tags, **kwargs)

    def _submit(
        self, config: object, *, tags: Mapping[str, object] | None = None, parent: Run | None = None, **kwargs: Any
    ) -> ScriptRun:
        folder = submit(
            self.workspace, self.name, config, tags=tags, parent=None if parent is None else parent._folder, **kwargs
        )
        return ScriptRun._of(folder, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and other._document.path == self._document.path

    def __hash__(self) -> int:
        return hash(self._document.path)

    def __repr__(self) -> str:
        return f"Experiment(Name: {self.name},\nWorkspace: {self.workspace.name})"


def open_run(folder: RunFolder, experiment: Experiment) -> Run:
    """The run of a folder, of the class that it had when it was made."""
    kind = ScriptRun if folder.document.read()["is_submitted"] else Run
    return kind._of(folder, experiment)


def find_run(workspace: Workspace, run_id: str) -> Run | None:
    """None where the workspace has no run of that id."""
    folder = RunFolder(str(workspace.folder), run_id)
    if not folder.exists():
        return None
    return open_run(folder, Experiment(workspace, folder.document.read()["experiment"]))


def _has(labels: Mapping[str, object], wanted: Labels) -> bool:
    if isinstance(wanted, str):
        return wanted in labels
    return all(labels.get(key) == str(value) for key, value in (wanted or {}).items())

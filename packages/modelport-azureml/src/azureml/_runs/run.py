"""A run, as the script that it is, the notebook that made it, and whoever looks at it later have it."""

import os
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Type, TypeVar

from azureml._errors import user_error
from azureml._runs import context, registering, statuses
from azureml._runs.folder import RunFolder, children_of
from azureml._runs.making import make_child
from azureml._runs.metric_logging import MetricLogging
from azureml._runs.run_files import RunFileMembers
from azureml._runs.run_labels import RunLabels
from azureml._runs.run_life import RunLife
from azureml._runs.selection import Labels, selected
from azureml.exceptions import RunEnvironmentException

_AnyRun = TypeVar("_AnyRun", bound="Run")


class Run(RunLife, RunLabels, RunFileMembers, MetricLogging):
    """One run of an experiment (azureml-v1 reference, 2.12). What it shows is read when it is asked for."""

    def __init__(self, experiment: Any, run_id: str, outputs: Optional[str] = None, **kwargs: Any) -> None:
        """The run of that id. Raises UserErrorException where the workspace of the experiment has none.

        ``outputs`` and other arguments are not needed.
        """
        self._folder = RunFolder(str(experiment.workspace.folder), run_id)
        self._experiment: Any = experiment
        if not self._folder.exists():
            raise user_error(
                "Run with id {} not found in the workspace {!r}.".format(run_id, experiment.workspace.name)
            )

    @classmethod
    def _of(cls: Type[_AnyRun], folder: RunFolder, experiment: Any = None) -> _AnyRun:
        """The run of a folder; its experiment is opened when it is asked for."""
        run = cls.__new__(cls)
        run._folder = folder
        run._experiment = experiment
        return run

    # --- finding ------------------------------------------------------------------------------------------------------

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: Any) -> Any:
        """The run that this script is; outside one an offline run, which prints what is logged.

        Raises RunEnvironmentException outside a run where ``allow_offline`` is False.
        """
        folder = context.current_folder()
        if folder is not None:
            return _SubmittedRun._of(folder)
        if allow_offline:
            return context.offline_run()
        raise RunEnvironmentException(
            "This script is no run: it was not started by experiment.submit. Submit it, or use "
            "Run.get_context(allow_offline=True), which prints what is logged."
        )

    @staticmethod
    def get(workspace: Any, run_id: str) -> "Run":
        """The run of that id. Raises UserErrorException where the workspace has none."""
        return workspace.get_run(run_id)  # type: ignore[no-any-return]

    @staticmethod
    def list(
        experiment: Any,
        type: Optional[str] = None,
        tags: Labels = None,
        properties: Labels = None,
        status: Optional[str] = None,
        include_children: bool = False,
        _rehydrate_runs: bool = True,
    ) -> "Iterator[Run]":
        """The runs of the experiment, the newest first; see ``Experiment.get_runs``."""
        found = experiment.get_runs(type=type, tags=tags, properties=properties, include_children=include_children)
        return (run for run in found if status in (None, run.get_status()))

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._folder.run_id

    @property
    def experiment(self) -> Any:
        """The experiment; its ``workspace`` has, in a script without the client, what scripts use of a workspace."""
        if self._experiment is None:
            self._experiment = context.open_experiment(self._folder)
        return self._experiment

    @property
    def folder(self) -> str:
        """Where this machine keeps the run."""
        return self._folder.path

    def get_metrics(
        self,
        name: Optional[str] = None,
        recursive: bool = False,
        run_type: Optional[str] = None,
        populate: bool = False,
    ) -> Dict[str, Any]:
        """What was logged, by name: a value, or a list where ``log`` was repeated; a dictionary of columns for rows and
        tables; for an image, the address of its file. With ``recursive`` the same for each child, by its id."""
        if not recursive:
            return self._folder.metrics.values(name)
        family = [self._folder, *children_of(self._folder, recursive=True)]
        return {each.run_id: each.metrics.values(name) for each in family}

    def _keep_metric(self, kind: str, name: str, value: Any, description: Optional[str], step: Optional[int]) -> None:
        self._folder.metrics.append(kind, name, value, description=description, step=step)

    def _keep_shown_file(self, kind: str, name: str, file_name: str, path: str, description: Optional[str]) -> None:
        self._folder.files.add(file_name, path)
        address = "aml://artifactId/ExperimentRun/dcid.{}/{}".format(self.id, file_name)
        self._keep_metric(kind, name, address, description, None)

    # --- children -----------------------------------------------------------------------------------------------------

    @property
    def parent(self) -> "Optional[Run]":
        """The run that this one is a child of."""
        parent = self._folder.document.read()["parent"]
        if parent is None:
            return None
        return Run._of(RunFolder(self._folder.workspace_folder, parent), self._experiment)

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Any = None) -> "Run":
        """A new run that is a part of this one; it is running."""
        return self._child(make_child(self._folder, name=name, run_id=run_id, status=statuses.RUNNING))

    def create_children(
        self, count: Optional[int] = None, tag_key: Optional[str] = None, tag_values: Optional[Iterable[Any]] = None
    ) -> "List[Run]":
        """Several children that have not started: ``count`` of them, or one for each of ``tag_values``, with the tag
        ``tag_key``. Raises UserErrorException unless exactly one of both is given."""
        if (count is None) == (tag_values is None) or (tag_values is not None and not tag_key):
            raise user_error("create_children needs count, or tag_key and tag_values.")
        tags: List[Dict[str, Any]] = [{} for _ in range(count or 0)]
        if tag_values is not None:
            tags = [{str(tag_key): value} for value in tag_values]
        made = [self._child(make_child(self._folder, status=statuses.NOT_STARTED)) for _ in tags]
        for child, labels in zip(made, tags):
            child.set_tags(labels)
        return made

    def _child(self, folder: RunFolder) -> "Run":
        return Run._of(folder, self._experiment)

    def get_children(
        self,
        recursive: bool = False,
        tags: Labels = None,
        properties: Labels = None,
        type: Optional[str] = None,
        status: Optional[str] = None,
        _rehydrate_runs: bool = True,
    ) -> "Iterator[Run]":
        """The children that fit, the newest first; with ``recursive``, theirs too."""
        found = children_of(self._folder, recursive=recursive)
        for folder in selected(found, type=type, tags=tags, properties=properties, status=status):
            yield self._child(folder)

    def submit_child(self, config: Any, tags: Optional[Mapping[str, Any]] = None, **kwargs: Any) -> "Run":
        """Submit a script as a child of this run: ``Experiment.submit``, which needs the client."""
        return self.experiment._submit(config, tags=tags, parent=self, **kwargs)  # type: ignore[no-any-return]

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def get_snapshot_id(self) -> Optional[str]:
        """Which snapshot of the source folder the run was made of; None where none was taken."""
        return self.properties.get("ContentSnapshotId")

    def restore_snapshot(self, snapshot_id: Optional[str] = None, path: Optional[str] = None) -> str:
        """Write the snapshot of the source folder as a ZIP file into the folder ``path``; returns the file's path.

        Raises UserErrorException for a run without one.
        """
        wanted = snapshot_id or self.get_snapshot_id()
        return registering.zip_snapshot(self._folder.workspace_folder, wanted, path or os.curdir)

    def register_model(
        self,
        model_name: str,
        model_path: Optional[str] = None,
        tags: Optional[Mapping[str, Any]] = None,
        properties: Optional[Mapping[str, Any]] = None,
        model_framework: Optional[str] = None,
        model_framework_version: Optional[str] = None,
        description: Optional[str] = None,
        datasets: Any = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Register a file or a folder of the run's files as a model; ``model_path`` is its name there, by default
        ``model_name``. The model has the run's id and the name of its experiment. ``kwargs`` change nothing: v1 had
        them for itself.

        Raises ModelPathNotFoundException, naming the files that there are. In a script without the client the returned
        object has the model's attributes, and no methods.
        """
        unknown = [name for name in kwargs if not name.startswith("_")]
        if unknown:
            raise TypeError("register_model() got an unexpected keyword argument {!r}".format(unknown[0]))
        return registering.register(
            self,
            model_name,
            model_path,
            tags=tags,
            properties=properties,
            description=description,
            datasets=datasets,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            sample_input_dataset=sample_input_dataset,
            sample_output_dataset=sample_output_dataset,
            resource_configuration=resource_configuration,
        )

    # --- data and secrets of the workspace ----------------------------------------------------------------------------

    @property
    def input_datasets(self) -> Dict[str, Any]:
        """The data sets that were given to the script, by name: a data set, or the path where its files are."""
        return context.open_inputs(self)

    @property
    def output_datasets(self) -> Dict[str, Any]:
        """Empty: an output is a path among the script's arguments."""
        return {}

    def get_secret(self, name: str) -> Optional[str]:
        """A secret of the workspace's key vault; None where there is none of that name."""
        return self.experiment.workspace.get_default_keyvault().get_secret(name)  # type: ignore[no-any-return]

    def get_secrets(self, secrets: Iterable[str]) -> Dict[str, Optional[str]]:
        """Secrets of the workspace's key vault, by name."""
        return self.experiment.workspace.get_default_keyvault().get_secrets(secrets)  # type: ignore[no-any-return]

    # --- showing ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Run":
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other._folder.path == self._folder.path

    def __hash__(self) -> int:
        return hash(self._folder.path)

    def __repr__(self) -> str:
        content = self._folder.read()
        return "{}(Experiment: {},\nId: {},\nType: {},\nStatus: {})".format(
            "Run", content["experiment"], self.id, content["type"], content["status"]
        )

    def _repr_html_(self) -> str:
        content = self._folder.read()
        cells = [content["experiment"], self.id, content["type"] or "", content["status"], self.get_portal_url()]
        heads = ("Experiment", "Id", "Type", "Status", "Details Page")
        return '<table style="width:100%"><tr>{}</tr><tr>{}</tr></table>'.format(
            "".join("<th>{}</th>".format(head) for head in heads),
            "".join("<td>{}</td>".format(context.escaped(str(cell))) for cell in cells),
        )


class _SubmittedRun(Run):
    """The run that a script is."""


class ScriptRun(Run):
    """The run of a submitted script."""


def get_run(experiment: Any, run_id: str, rehydrate: bool = True, clear_cache: bool = False) -> Run:
    """The run of that id. Raises UserErrorException where the experiment's workspace has none."""
    return Run(experiment, run_id)

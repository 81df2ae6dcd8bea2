"""What comes of a run: models, and the snapshot of its source folder."""

import os
import zipfile
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from azureml._errors import user_error
from azureml._runs.files import files_below

SNAPSHOTS = "snapshots"
"""The folder of a workspace that holds snapshots of source folders, by the digest of their content."""


def register(run: Any, model_name: str, model_path: Optional[str], **labels: Any) -> Any:
    """See ``Run.register_model``."""
    access = run.experiment.workspace.access
    described = access.call(
        "register_model", run_id=run.id, model_name=model_name, model_path=model_path, **_as_json(labels)
    )
    return access.model(described)


def register_path(
    workspace: Any,
    model_path: str,
    model_name: str,
    tags: Optional[Mapping[str, Any]] = None,
    properties: Optional[Mapping[str, Any]] = None,
    description: Optional[str] = None,
    datasets: Any = None,
    model_framework: Optional[str] = None,
    model_framework_version: Optional[str] = None,
    child_paths: Optional[Sequence[str]] = None,
    sample_input_dataset: Any = None,
    sample_output_dataset: Any = None,
    resource_configuration: Any = None,
) -> Any:
    """``Model.register`` in a submitted script without the client: a file or folder that the script can see."""
    labels = _as_json(
        {
            "tags": tags,
            "properties": properties,
            "description": description,
            "datasets": datasets,
            "model_framework": model_framework,
            "model_framework_version": model_framework_version,
            "child_paths": child_paths,
            "sample_input_dataset": sample_input_dataset,
            "sample_output_dataset": sample_output_dataset,
            "resource_configuration": resource_configuration,
        }
    )
    print("Registering model {}".format(model_name))  # noqa: T201 - as v1 did
    path = os.path.abspath(model_path)
    described = workspace.access.call("register_path", model_name=model_name, model_path=path, **labels)
    return workspace.access.model(described)


def zip_snapshot(workspace_folder: str, snapshot_id: Optional[str], folder: str) -> str:
    """See ``Run.restore_snapshot``."""
    source = os.path.join(workspace_folder, SNAPSHOTS, os.path.basename(snapshot_id or ""))
    if not snapshot_id or not os.path.isdir(source):
        raise user_error("The run has no snapshot of its source folder.")
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, snapshot_id + ".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files_below(source)):
            archive.write(os.path.join(source, name), name)
    return os.path.abspath(target)


def _as_json(labels: Mapping[str, Any]) -> Dict[str, Any]:
    """What is said of a model, as JSON."""
    return {name: None if value is None else _FORMS[name](value) for name, value in labels.items()}


def _texts(values: Mapping[str, Any]) -> Dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _id(data_set: Any) -> str:
    """A data set by its id; a sample that is none, by its text."""
    return str(getattr(data_set, "id", data_set))


def _references(datasets: Any) -> List[List[str]]:
    """``(purpose, data set)`` pairs, as ids."""
    return [[str(purpose), _id(data_set)] for purpose, data_set in datasets]


def _resources(configuration: Any) -> Dict[str, Any]:
    return {name: getattr(configuration, name, None) for name in ("cpu", "memory_in_gb", "gpu")}


_FORMS: Dict[str, Callable[[Any], Any]] = {
    "tags": _texts,
    "properties": _texts,
    "description": str,
    "datasets": _references,
    "model_framework": str,
    "model_framework_version": str,
    "child_paths": list,
    "sample_input_dataset": _id,
    "sample_output_dataset": _id,
    "resource_configuration": _resources,
}

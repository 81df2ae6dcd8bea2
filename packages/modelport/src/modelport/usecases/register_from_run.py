"""Register a file or a folder of a run's files as a model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azureml._runs.files import clean_name
from azureml._runs.folder import RunFolder
from modelport.domain.errors import ModelPathNotFoundException, UserErrorException
from modelport.domain.models import ModelVersion, ResourceConfiguration
from modelport.usecases.context import Context
from modelport.usecases.register_model import ModelRegistration, register_model

_LISTED = 50


def register_from_run(
    context: Context, run_id: str, *, model_name: str, model_path: str | None, **described: Any
) -> ModelVersion:
    """The next version of the model, with the run's id and its experiment's name. ``described``: fields of
    ModelDescription.

    Raises UserErrorException where there is no such run, ModelPathNotFoundException, naming the run's files, where it
    has none of that name, and what ``register_model`` raises.
    """
    folder = RunFolder(str(context.folder), run_id)
    if not folder.exists():
        raise UserErrorException(f"Run with id {run_id} not found in the workspace {context.record.name!r}.")
    wanted = model_path or model_name
    files = folder.files.below(wanted)
    if not files:
        raise _missing(folder, wanted)
    with tempfile.TemporaryDirectory(prefix=".registering-", dir=folder.path) as staging:
        registration = ModelRegistration(
            path=_gathered(wanted, files, Path(staging)),
            name=model_name,
            run_id=run_id,
            experiment_name=folder.document.read()["experiment"],
            **described,
        )
        return register_model(context, registration)


def resources(said: Mapping[str, Any] | None) -> ResourceConfiguration | None:
    """The configuration of its JSON."""
    return None if said is None else ResourceConfiguration(**said)


def _gathered(wanted: str, files: Mapping[str, str], staging: Path) -> Path:
    """The file or the folder of that name. Its files may lie in two places while the script runs: links bring them
    together."""
    name = clean_name(wanted)
    if list(files) == [name]:
        return Path(files[name])
    root = staging / name.rpartition("/")[2]
    for file, path in files.items():
        target = root / file.removeprefix(name + "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return root


def _missing(folder: RunFolder, wanted: str) -> ModelPathNotFoundException:
    names = folder.files.names()
    shown = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return ModelPathNotFoundException(
        f"Could not locate the provided model_path {wanted} in the set of files uploaded to the run: [{shown}].",
        hint="model_path is a name among the run's files, such as outputs/model.pkl: run.get_file_names() lists them.",
    )

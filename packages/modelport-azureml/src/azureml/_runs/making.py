"""New runs: their ids, their numbers within an experiment, and what they start with."""

import getpass
import os
import re
from typing import Any, Dict, List, Optional

from azureml._errors import user_error
from azureml._runs import statuses
from azureml._runs.documents import JsonDocument
from azureml._runs.folder import RunFolder, new_run_id
from azureml._runs.moments import now

EXPERIMENTS = "experiments"
"""The folder of a workspace that holds its experiments, each a folder with ``experiment.json``."""

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_]{2,35}")


def check_experiment_name(name: Any) -> str:
    """The name. Raises UserErrorException where it cannot name an experiment."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise user_error(
            "Invalid experiment name {!r}: Experiment name must be between 3 and 36 characters, start with a letter or "
            "a number, and hold only letters, numbers, underscores and dashes.".format(name)
        )
    return name


def experiment_document(workspace_folder: str, name: str) -> JsonDocument:
    """The file of an experiment, whether it is there or not."""
    return JsonDocument(os.path.join(workspace_folder, EXPERIMENTS, name, "experiment.json"))


def open_experiment_document(workspace_folder: str, name: str) -> JsonDocument:
    """The file of an experiment; made where it is not there."""
    document = experiment_document(workspace_folder, name)
    if not document.exists():
        os.makedirs(os.path.dirname(document.path), exist_ok=True)
        with document.change() as content:
            content.setdefault("id", new_run_id())
            content.setdefault("name", name)
            content.setdefault("tags", {})
            content.setdefault("created_time", now())
            content.setdefault("archived_time", None)
            content.setdefault("runs", [])
            content.setdefault("last_number", 0)
    return document


def experiment_names(workspace_folder: str) -> List[str]:
    """The experiments of the workspace, by name."""
    root = os.path.join(workspace_folder, EXPERIMENTS)
    names = sorted(os.listdir(root)) if os.path.isdir(root) else []
    return [name for name in names if experiment_document(workspace_folder, name).exists()]


def make_run(
    workspace_folder: str, experiment: str, *, run_id: Optional[str] = None, owned: bool = False, **content: Any
) -> RunFolder:
    """A new run of the experiment, with the next number; ``owned``: see RunFolder.create.

    Raises UserErrorException for an id that is taken.
    """
    wanted = run_id or new_run_id()
    document = open_experiment_document(workspace_folder, experiment)
    with document.change() as known:
        made = RunFolder.create(
            workspace_folder,
            wanted,
            owned=owned,
            experiment=experiment,
            experiment_id=known["id"],
            number=known["last_number"] + 1,
            submitted_by=_user(),
            **content,
        )
        known["last_number"] += 1
        known["runs"].append(wanted)
    return made


def make_child(
    parent: RunFolder, *, status: str, name: Optional[str] = None, run_id: Optional[str] = None, **content: Any
) -> RunFolder:
    """A new run that is a part of ``parent``."""
    above = parent.document.read()
    fields: Dict[str, Any] = {"parent": parent.run_id, "root": above["root"], "name": name, "target": above["target"]}
    fields.update(content)
    child = make_run(parent.workspace_folder, above["experiment"], run_id=run_id, **fields)
    parent.change(lambda known: known["children"].append(child.run_id))
    if status != statuses.NOT_STARTED:
        child.enter(status)
    return child


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

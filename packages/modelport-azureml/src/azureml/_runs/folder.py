"""The folder of a run: ``run.json`` says what it is and how it fares; beside it are its metrics and its files."""

import fcntl
import os
import re
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple

from azureml._errors import user_error
from azureml._runs import ownership, statuses
from azureml._runs.documents import JsonDocument
from azureml._runs.files import WORK, RunFiles
from azureml._runs.metrics import MetricLog
from azureml._runs.moments import now

RUNS = "runs"
"""The folder of a workspace that holds the folders of its runs."""

FOLDER_VARIABLE = "MODELPORT_RUN_FOLDER"
"""Tells a script, and every process that it starts, which run it belongs to."""

_RUN_ID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*")
_LOST = "The process of the run ended without saying how: it was killed, or the machine went down."
_NOT_COMPLETED = "The process that logged to the run ended without run.complete()."


class RunFolder:
    """One run of a workspace."""

    def __init__(self, workspace_folder: str, run_id: str) -> None:
        """Whether there is such a run shows ``exists``."""
        self.workspace_folder = workspace_folder
        self.run_id = run_id
        self.path = os.path.join(workspace_folder, RUNS, run_id)
        self.document = JsonDocument(os.path.join(self.path, "run.json"))
        self.metrics = MetricLog(os.path.join(self.path, "metrics.jsonl"))
        self.files = RunFiles(self.path)
        self.lock: Optional[int] = None
        """The descriptor of the owner's lock, in the process that made the run."""

    @classmethod
    def at(cls, path: str) -> "RunFolder":
        """The run of that folder."""
        runs, run_id = os.path.split(os.path.normpath(path))
        return cls(os.path.dirname(runs), run_id)

    @classmethod
    def create(cls, workspace_folder: str, run_id: str, *, owned: bool = False, **content: Any) -> "RunFolder":
        """Make the folder; ``owned``, with ``lock`` held. Raises UserErrorException for an id that is taken or that
        cannot name a folder."""
        if not is_run_id(run_id):
            raise user_error(
                "{!r} cannot be the id of a run: it may hold letters, digits, '-', '_' and '.'.".format(run_id)
            )
        made = cls(workspace_folder, run_id)
        try:
            os.makedirs(made.path)
        except FileExistsError:
            raise user_error("There is a run {!r} already.".format(run_id))
        if owned:
            made.lock = ownership.take(made.path)
        made.document.create(_new(run_id, content))
        return made

    def exists(self) -> bool:
        return is_run_id(self.run_id) and self.document.exists()

    # --- what it says -------------------------------------------------------------------------------------------------

    def read(self) -> Dict[str, Any]:
        """``run.json``, after ``settle``."""
        content = self.document.read()
        if content["status"] not in statuses.TERMINAL and self._is_abandoned():
            self._settle()
            content = self.document.read()
        return content

    def status(self) -> str:
        return str(self.read()["status"])

    def change(self, alter: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
        """Change ``run.json``; nobody else's change is lost."""
        with self.document.change() as content:
            alter(content)
        return content

    # --- its life -----------------------------------------------------------------------------------------------------

    def enter(self, status: str, **fields: Any) -> bool:
        """Go into a state, unless the run has ended; whether it did. A request to cancel is not forgotten."""
        entered = []

        def alter(content: Dict[str, Any]) -> None:
            if content["status"] in statuses.TERMINAL:
                return
            content.update(fields)
            if content["status"] == statuses.CANCEL_REQUESTED and status not in statuses.TERMINAL:
                return
            entered.append(status)
            content["status"] = status
            if status == statuses.RUNNING and not content["start_time"]:
                content["start_time"] = now()
            if status in statuses.TERMINAL:
                content["end_time"] = now()

        self.change(alter)
        return bool(entered)

    def end(self, status: str, error: Optional[Dict[str, Any]] = None) -> bool:
        """End the run, and those of its children that have not ended; whether it was not ended already."""
        if not self.enter(status, error=error):
            return False
        root = self.document.read()["root"]
        for child in children_of(self, recursive=True):
            if child.document.read()["root"] == root:  # a child that was submitted has an end of its own
                child.enter(status, error=error)
        return True

    def root(self) -> "RunFolder":
        """The run that this one, its parent, … is a child of; itself where it is none's."""
        return RunFolder(self.workspace_folder, self.document.read()["root"])

    def _is_abandoned(self) -> bool:
        """Whether who kept the run going (its root's owner, for a child) is gone."""
        root = self.root()
        return ownership.was_taken(root.path) and not ownership.is_owned(root.path)

    def _settle(self) -> None:
        """End a run whose owner is gone: what its script left running is ended, what it left in files is kept."""
        root = self.root()
        with open(os.path.join(root.path, "settling.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = root.document.read()
            if content["status"] not in statuses.TERMINAL:
                root.end(*_how_it_ended(root, content))
        content = root.document.read()
        self.end(content["status"], content["error"])


def _how_it_ended(root: RunFolder, content: Dict[str, Any]) -> Tuple[str, Optional[Dict[str, Any]]]:
    """The last state of a run whose owner has ended without writing one, and the error."""
    if not content["is_submitted"]:
        return statuses.FAILED, {"code": "UserError", "message": _NOT_COMPLETED}
    driver = ownership.owner(root.path)
    if driver is not None:
        ownership.end_left_behind(driver, mark_of(root.path))
    root.files.keep_written(os.path.join(root.path, WORK), move=True)
    if content["status"] == statuses.CANCEL_REQUESTED:
        return statuses.CANCELED, None
    return statuses.FAILED, {"code": "SystemError", "message": _LOST}


def is_run_id(run_id: str) -> bool:
    """Whether it can name a run, and so a folder."""
    return isinstance(run_id, str) and _RUN_ID.fullmatch(run_id) is not None


def mark_of(path: str) -> str:
    """The entry in the environment of the processes of a submitted run."""
    return "{}={}".format(FOLDER_VARIABLE, path)


def children_of(parent: RunFolder, recursive: bool = False) -> List[RunFolder]:
    """The children of a run, in the order of their making; with ``recursive``, theirs too."""
    content = parent.document.read()
    found = [RunFolder(parent.workspace_folder, child) for child in content.get("children", ())]
    there = [child for child in found if child.exists()]
    if not recursive:
        return there
    return [each for child in there for each in [child, *children_of(child, recursive=True)]]


def all_runs(workspace_folder: str) -> List[RunFolder]:
    """Every run of the workspace, in no order."""
    root = os.path.join(workspace_folder, RUNS)
    names = os.listdir(root) if os.path.isdir(root) else []
    return [run for run in (RunFolder(workspace_folder, name) for name in names) if run.exists()]


def new_run_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def _new(run_id: str, content: Dict[str, Any]) -> Dict[str, Any]:
    new: Dict[str, Any] = {
        "run_id": run_id,
        "number": None,
        "experiment": None,
        "experiment_id": None,
        "parent": None,
        "root": run_id,
        "children": [],
        "name": None,
        "description": None,
        "type": None,
        "is_submitted": False,
        "status": statuses.NOT_STARTED,
        "created_time": now(),
        "start_time": None,
        "end_time": None,
        "tags": {},
        "properties": {},
        "error": None,
        "warnings": [],
        "target": "local",
        "submitted_by": "",
        "definition": None,
        "inputs": {},
        "said": None,
    }
    new.update(content)
    return new

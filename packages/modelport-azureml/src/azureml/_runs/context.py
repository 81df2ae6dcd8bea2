"""Where a script is: in a run or not, and in a Python with the client or without."""

import html
import importlib
import importlib.util
import json
import os
from typing import Any, Dict, List, Optional

from azureml._runs.folder import FOLDER_VARIABLE, RunFolder
from azureml._runs.offline import _OfflineRun

CLIENT = "modelport"

_offline: List[_OfflineRun] = []


def current_folder() -> Optional[RunFolder]:
    """The folder of the run that this process belongs to; None outside a submitted script."""
    path = os.environ.get(FOLDER_VARIABLE)
    if not path:
        return None
    folder = RunFolder.at(path)
    return folder if folder.exists() else None


def offline_run() -> _OfflineRun:
    """The offline run of this process: always the same."""
    if not _offline:
        _offline.append(_OfflineRun())
    return _offline[0]


def open_experiment(folder: RunFolder) -> Any:
    """The run's experiment: the client's, where this Python has the client, else what stands in for it in a script."""
    name = folder.document.read()["experiment"]
    if importlib.util.find_spec(CLIENT) is not None:
        with open(os.path.join(folder.root().path, "client.json"), encoding="utf-8") as file:
            workspace = json.load(file)["workspace"]["name"]
        return importlib.import_module(CLIENT + ".sdk.runs.opening").open_experiment(workspace, name)
    return importlib.import_module("azureml._runs.script_workspace").open_experiment(folder.root(), name)


def open_inputs(run: Any) -> Dict[str, Any]:
    """See ``Run.input_datasets``."""
    inputs = run._folder.document.read()["inputs"]
    data = importlib.import_module("azureml._data.inputs")
    return {name: data.open_input(run, each) for name, each in inputs.items()}


def escaped(text: str) -> str:
    """The text for a web page; an address of a file as a link."""
    safe = html.escape(text)
    return '<a href="{0}">{0}</a>'.format(safe) if text.startswith("file://") else safe

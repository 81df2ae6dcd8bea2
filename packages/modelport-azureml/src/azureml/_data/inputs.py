"""What a submitted script gets for its inputs: paths, made ready before it starts, and data sets."""

import os
from typing import Any, Dict

from azureml._data.datasets import open_dataset


def open_input(run: Any, given: Dict[str, Any]) -> Any:
    """The path of an input that was mounted or downloaded; the data set of any other."""
    if given["is_path"]:
        return os.path.join(run.folder, given["local_path"])
    dataset = open_dataset({"definition": given["definition"], **given["registered"]}, None)
    dataset._workspace = _LazyWorkspace(run)
    return dataset


class _LazyWorkspace:
    """The workspace of the run, opened where something is asked of it: reading a data set asks nothing."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run.experiment.workspace, name)

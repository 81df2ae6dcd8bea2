"""Waiting for the end of a run, and showing meanwhile what its script prints."""

import codecs
import json
import os
import sys
import time
from typing import Any, Dict, Iterator, Tuple

from azureml._runs import statuses
from azureml._runs.folder import RunFolder
from azureml.exceptions import ActivityCanceledException, ActivityFailedException, ExperimentExecutionException

DRIVER_LOG = "azureml-logs/70_driver_log.txt"
"""What the script prints."""
BUILD_LOG = "azureml-logs/20_image_build_log.txt"
"""How its environment came to be."""
LOG_FOLDERS = ("azureml-logs", "logs", "user_logs", "system_logs")

_POLL_S = 0.05


def wait(folder: RunFolder, *, show_output: bool) -> None:
    """Return when the run has ended. Raises ExperimentExecutionException where the user interrupts the waiting, which
    the run does not notice."""
    try:
        if show_output:
            _show(folder)
        else:
            while folder.status() not in statuses.TERMINAL:
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        raise ExperimentExecutionException(
            "The output streaming for the run interrupted. But the run is still executing: run.cancel() stops it."
        )


def _show(folder: RunFolder) -> None:
    _print("RunId: {}\nWeb View: file://{}\n".format(folder.run_id, folder.path))
    shown: Dict[str, "_Tail"] = {}
    ended = False
    while not ended:
        ended = folder.status() in statuses.TERMINAL  # before the last look at the logs: nothing is missed then
        for name, path in _outputs(folder):
            if name not in shown:
                shown[name] = _Tail(path)
                _print("\nStreaming {}\n{}\n\n".format(name, "=" * (len(name) + 10)))
            shown[name].print_new()
        if not ended:
            time.sleep(_POLL_S)
    _print(
        "\nExecution Summary\n=================\nRunId: {}\nWeb View: file://{}\n\n".format(folder.run_id, folder.path)
    )
    content = folder.document.read()
    for warning in content["warnings"]:
        _print("Warning: {}\n".format(warning))
    if content["error"]:
        _print("Error:\n{}\n".format(json.dumps({"error": content["error"]}, indent=4)))


def _outputs(folder: RunFolder) -> Iterator[Tuple[str, str]]:
    """The logs that there are, in the order of their making."""
    for name in (BUILD_LOG, DRIVER_LOG):
        path = os.path.join(folder.path, "files", name)
        if os.path.exists(path) and os.path.getsize(path):
            yield name, path


class _Tail:
    """A file that grows."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def print_new(self) -> None:
        """Print what was added since the last time."""
        with open(self._path, "rb") as file:
            file.seek(self._position)
            content = file.read()
        self._position += len(content)
        _print(self._decoder.decode(content))


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def raise_if_unsuccessful(details: Dict[str, Any]) -> None:
    """Raise ActivityFailedException or ActivityCanceledException for details of a run that ended so."""
    if details["status"] == statuses.FAILED:
        raise ActivityFailedException(
            json.dumps(details.get("error") or {"error": {"message": "The run failed."}}, indent=4)
        )
    if details["status"] == statuses.CANCELED:
        raise ActivityCanceledException("The run {} was cancelled.".format(details["runId"]))

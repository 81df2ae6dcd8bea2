"""The life of a run as its members: its state, its end, and waiting for it."""

import contextlib
import os
import signal
import traceback
from types import TracebackType
from typing import Any, Dict, Optional, Type

from azureml._errors import user_error
from azureml._runs import interactive, ownership, statuses, waiting
from azureml._runs.environment import environment_of
from azureml._runs.folder import FOLDER_VARIABLE, RunFolder


class RunLife:
    """How a run fares."""

    _folder: RunFolder

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """As ``get_status``."""
        return self.get_status()

    def get_status(self) -> str:
        """The state now, one of the reference's: NotStarted, Preparing, Starting, Running, Finalizing,
        CancelRequested, Completed, Failed, Canceled."""
        return self._folder.status()

    def get_detailed_status(self) -> Dict[str, str]:
        """The state, and why, where it failed."""
        content = self._folder.read()
        return {"status": content["status"], "details": (content["error"] or {}).get("message", "")}

    def get_details(self) -> Dict[str, Any]:
        """The run as a dictionary with v1's keys; ``logFiles`` has the address of each log."""
        content = self._folder.read()
        details = {
            "runId": content["run_id"],
            "target": content["target"],
            "status": content["status"],
            "startTimeUtc": content["start_time"],
            "endTimeUtc": content["end_time"],
            "error": _error(content["error"]),
            "warnings": [{"source": "Modelport", "message": text} for text in content["warnings"]],
            "properties": content["properties"],
            "inputDatasets": [_input(name, each) for name, each in content["inputs"].items()],
            "outputDatasets": [],
            "runDefinition": content["definition"],
            "logFiles": {name: "file://" + path for name, path in _logs(self._folder).items()},
            "submittedBy": content["submitted_by"],
        }
        optional = ("startTimeUtc", "endTimeUtc", "error", "warnings", "runDefinition")
        return {key: value for key, value in details.items() if value or key not in optional}

    def get_details_with_logs(self) -> Dict[str, Any]:
        """As ``get_details``, with the text of each log."""
        details = self.get_details()
        details["logFiles"] = {name: _text(path) for name, path in _logs(self._folder).items()}
        return details

    def get_environment(self) -> Any:
        """The environment that the script ran in. Raises UserErrorException for a run that had none of its own."""
        return environment_of(self._folder.path, self._folder.run_id)

    def get_portal_url(self) -> str:
        """The address of the run's folder on this machine: there is no portal of a cloud here."""
        return "file://" + self._folder.path

    # --- ending -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Say that the run has started; one that has is not changed."""
        if self._folder.status() == statuses.NOT_STARTED:
            self._folder.enter(statuses.RUNNING)

    def complete(self, _set_status: bool = True) -> None:
        """End the run: what was written into ``outputs`` and ``logs`` becomes files of it, the status ``Completed``.

        In a submitted script the run ends with the script. Raises UserErrorException for a run that has failed or was
        cancelled.
        """
        self._finish(statuses.COMPLETED, None)

    def fail(self, error_details: Any = None, error_code: Optional[str] = None, _set_status: bool = True) -> None:
        """End the run as failed: ``error_details`` is a text or an exception. In a submitted script the run ends with
        the script, and failed. Raises UserErrorException for a run that has ended otherwise."""
        message = "The run was failed by its script." if error_details is None else _message(error_details)
        self._finish(statuses.FAILED, {"code": error_code or "UserError", "message": message})

    def cancel(self) -> None:
        """Stop the run, and end it as cancelled. Returns at once: a submitted script is given time to end.

        Raises UserErrorException for a run that has ended.
        """
        self._check_open(statuses.CANCELED)
        content = self._folder.document.read()
        if not content["is_submitted"]:
            interactive.keep_outputs(self._folder)
            self._folder.end(statuses.CANCELED)
            interactive.let_go(self._folder)
            return
        self._folder.enter(statuses.CANCEL_REQUESTED)
        driver = ownership.owner(self._folder.path)
        if driver is not None and ownership.is_owned(self._folder.path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver, signal.SIGTERM)

    def flush(self, timeout_seconds: int = 300) -> None:
        """Return when everything is kept: it always is, each call of ``log`` or ``upload_file`` writes."""

    def _finish(self, status: str, error: Optional[Dict[str, Any]]) -> None:
        if os.environ.get(FOLDER_VARIABLE) == self._folder.path and self._folder.document.read()["is_submitted"]:
            self._folder.change(lambda content: content.update(said={"status": status, "error": error}))
            return
        if not self._check_open(status):
            return
        interactive.keep_outputs(self._folder)
        self._folder.end(status, error)
        interactive.let_go(self._folder)

    def _check_open(self, status: str) -> bool:
        """False for a run that has that state already. Raises UserErrorException where it ended otherwise."""
        there = self._folder.status()
        if there in statuses.TERMINAL and there != status:
            raise user_error(
                "The run {} has ended already: it is {}. A state like this is not changed.".format(
                    self._folder.run_id, there
                )
            )
        return there != status

    # --- waiting ------------------------------------------------------------------------------------------------------

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> Dict[str, Any]:
        """Wait until the run has ended, with ``show_output`` printing what its script prints; returns ``get_details``.

        ``wait_post_processing`` changes nothing: a run ends after its files are kept. Raises ActivityFailedException
        and, where it was cancelled, ActivityCanceledException, unless ``raise_on_error`` is False.
        """
        waiting.wait(self._folder, show_output=show_output)
        details = self.get_details()
        if raise_on_error:
            waiting.raise_if_unsuccessful(details)
        return details

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """End the run that a ``with`` block was about: failed, where an exception leaves the block."""
        if self._folder.status() in statuses.TERMINAL:
            return
        if error is None:
            self.complete()
        else:
            self.fail("".join(traceback.format_exception_only(type(error), error)).strip())


def _message(details: Any) -> str:
    return "{}: {}".format(type(details).__name__, details) if isinstance(details, BaseException) else str(details)


def _error(error: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    return error and {"error": error}


def _input(name: str, each: Dict[str, Any]) -> Dict[str, Any]:
    return {"dataset": {"id": each.get("id")}, "consumptionDetails": {"type": "RunInput", "inputName": name}}


def _logs(folder: RunFolder) -> Dict[str, str]:
    return {name: path for name, path in folder.files.below("").items() if name.split("/")[0] in waiting.LOG_FOLDERS}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

"""What is said of an exception: for a start that failed, and for a ``run`` that raised."""

import os
import traceback
from types import TracebackType
from typing import Dict, List, Optional

from modelport_worker.streams import log

LISTED_FILES = 200

OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class ScriptError(Exception):
    """The entry script cannot be served; the message says what to change in it. There is no traceback to show."""


def user_frames(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback without the frames before the user's first one: the worker's, and those of the import system."""
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def is_ours(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", OWN_FOLDER))


def format_exception(error: BaseException) -> str:
    """The exception as Python shows it, from the user's first frame on; a line of it where that raises."""
    try:
        return "".join(traceback.format_exception(type(error), error, user_frames(error.__traceback__)))
    except BaseException as second:  # the methods of its class, or what the script has put in the place of Python's
        return "{}: {} (its traceback cannot be had: {})".format(
            type(error).__name__, text_of(error), type(second).__name__
        )


def text_of(error: BaseException) -> str:
    """``str(error)``, also where that raises, whatever it raises."""
    try:
        return str(error)
    except BaseException as second:
        return "{} (its text cannot be had: {})".format(type(error).__name__, type(second).__name__)


def describe_failure(phase: str, error: BaseException) -> Dict[str, str]:
    """The payload of a FAILED frame."""
    if isinstance(error, ScriptError):
        return {"phase": phase, "type": "ScriptError", "message": str(error), "traceback": ""}
    return {
        "phase": phase,
        "type": type(error).__name__,
        "message": encodable(failure_message(phase, error)),
        "traceback": encodable(format_exception(error)),
    }


def encodable(text: str) -> str:
    """The text with escapes for what UTF-8 does not have: a file's name may hold any byte, as a lone surrogate."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def failure_message(phase: str, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "The entry script ended the process itself, by sys.exit({!r}), in the phase {}.".format(
            error.code, phase
        )
    return text_of(error)


def list_folder(folder: str) -> str:
    """The files below ``folder``, one a line; at most LISTED_FILES, and how many more there may be is said."""
    lines: List[str] = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if len(lines) == LISTED_FILES:
                return "\n".join([*lines, "  … and more"])
            lines.append("  " + os.path.join(parent, name))
    return "\n".join(lines) or "  (nothing)"


def log_failure(failure: Dict[str, str]) -> None:
    """Write the failure to the log; for ``init``, which loads the models, also what model files there are."""
    log("The phase {phase} failed: {type}: {message}\n{traceback}".format(**failure))
    folder = os.environ.get("AZUREML_MODEL_DIR")
    if failure["phase"] == "init" and folder:
        log("Files in AZUREML_MODEL_DIR ({}):\n{}".format(folder, list_folder(folder)))

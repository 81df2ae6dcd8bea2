"""Runs that a notebook or a program logs to directly (``start_logging``): this process keeps them going."""

import atexit
import contextlib
import os
import sys
import time
from typing import Any, Dict, List, Optional

from azureml._runs import ownership, statuses
from azureml._runs.folder import RunFolder

_kept: Dict[str, "_Kept"] = {}
"""The interactive runs of this process, by folder."""

_watching: List[bool] = []
_failures: List[BaseException] = []
"""The exception that ends this program, if one does."""

_CLOCK_S = 0.05
"""So far may the times of files lag behind the clock."""


class _Kept:
    def __init__(self, folder: RunFolder, directory: Optional[str]) -> None:
        self.folder = folder
        self.directory = directory
        self.since = time.time() - _CLOCK_S
        self.process = os.getpid()


def keep(folder: RunFolder, directory: Optional[str]) -> None:
    """Keep a run that was made ``owned`` going as long as this process lives.

    At its end what was written into ``outputs`` and ``logs`` below the directory since now becomes files of the run; a
    run that was not ended is then completed, or failed where an exception ends the program.
    """
    if not _watching:
        _watching.append(True)
        atexit.register(_end_all)
        _watch_for_failure()
    _kept[folder.path] = _Kept(folder, directory)
    if folder.lock is not None:
        ownership.sign(folder.lock, os.getpid())


def keep_outputs(folder: RunFolder) -> None:
    """Make what this process wrote for the run files of the run."""
    kept = _kept.get(folder.path)
    if kept is not None and kept.directory is not None and kept.process == os.getpid():
        folder.files.keep_written(kept.directory, since=kept.since)


def let_go(folder: RunFolder) -> None:
    """The run has ended: nobody keeps it going any more, and its descriptor is free."""
    kept = _kept.pop(folder.path, None)
    if kept is not None and kept.process == os.getpid() and kept.folder.lock is not None:
        os.close(kept.folder.lock)
        kept.folder.lock = None


def _end_all() -> None:
    for kept in list(_kept.values()):
        # a process that was forked from this one does not own its runs; a workspace may be gone
        if kept.process != os.getpid() or not kept.folder.exists():
            continue
        if kept.folder.document.read()["status"] in statuses.TERMINAL:
            continue
        with contextlib.suppress(OSError):
            keep_outputs(kept.folder)
        if _failures:
            message = "{}: {}".format(type(_failures[0]).__name__, _failures[0])
            kept.folder.end(statuses.FAILED, {"code": "UserError", "message": message})
        else:
            kept.folder.end(statuses.COMPLETED)


def _watch_for_failure() -> None:
    shown_by = sys.excepthook

    def show(kind: Any, error: BaseException, traceback: Any) -> None:
        _failures.append(error)
        shown_by(kind, error, traceback)

    sys.excepthook = show

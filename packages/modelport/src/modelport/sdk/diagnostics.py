"""What v1 had for looking at the SDK itself: a log of what it does, and what it sent to its maker."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

_LOGGERS = ("modelport", "httpx")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextlib.contextmanager
def diagnostic_log(log_path: str | None = None, verbosity: int = logging.DEBUG) -> Iterator[None]:
    """While the ``with`` block runs, what Modelport and its HTTP client log goes to the file, or to standard error."""
    handler = logging.StreamHandler(sys.stderr) if log_path is None else logging.FileHandler(Path(log_path))
    handler.setFormatter(logging.Formatter(_FORMAT))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(verbosity)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()


def set_diagnostics_collection(send_diagnostics: bool = True, verbosity: int = logging.INFO) -> None:
    """Prints that nothing is sent anywhere, whatever is asked for."""
    print("Modelport sends no diagnostics: there is nothing to turn on or off.")  # noqa: T201 - v1 printed too

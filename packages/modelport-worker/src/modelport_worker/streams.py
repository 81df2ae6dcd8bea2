"""Standard output, standard error and logging of a worker: what the script says stands in the log at once."""

import faulthandler
import io
import logging
import os
import sys
import time
from typing import Any, TextIO

LOG_FORMAT = "%(asctime)s,%(msecs)03d %(levelname).1s [%(process)d] %(name)s - %(message)s"


_own = sys.stderr
"""The worker's own way to the log: ``sys.stderr`` is the script's to replace or to close."""


class LogFile(io.FileIO):
    """What cannot be written, because the disk is full or the script has closed the descriptor, is lost: neither a
    script that prints nor an answer may fail for a line in a log."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def unbuffered(descriptor: int) -> TextIO:
    """A text stream that passes every write on. UTF-8 in any locale: a print must not fail for a letter in it."""
    raw = LogFile(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        raw,  # a raw file will do, as for ``python -u``
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )


def log_level() -> int:
    """AZUREML_LOG_LEVEL (reference, 6.7), or INFO where it is unset or no level."""
    level = logging.getLevelName(os.environ.get("AZUREML_LOG_LEVEL", "INFO").upper())
    return level if isinstance(level, int) else logging.INFO


def set_up_streams() -> None:
    """Unbuffered output, records from INFO on in the log, and a Python traceback where native code crashes."""
    global _own
    _own = unbuffered(os.dup(2))
    sys.stdout = unbuffered(1)
    sys.stderr = unbuffered(2)
    faulthandler.enable(file=sys.stderr)
    logging.basicConfig(level=log_level(), handlers=[log_handler()])


def log_handler() -> logging.Handler:
    """Writes records to the log, in the format of v1's server: time in UTC, level, process, logger."""
    formatter = logging.Formatter(LOG_FORMAT, "%Y-%m-%d %H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler


def log(message: str) -> None:
    """A line of the worker's own in the log."""
    _own.write(message.rstrip("\n") + "\n")

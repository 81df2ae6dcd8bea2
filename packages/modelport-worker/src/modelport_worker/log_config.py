"""Logging as v1's server offered it (reference, 6.7): a ``logging.json`` of the user's, and prints as lines of the log.

Such files name this module's two classes by the path that they had in v1's server; ``importing`` leads it here.
"""

import builtins
import functools
import json
import logging
import logging.config
import os
import sys
import time
from typing import Any, Optional

from modelport_worker.failures import ScriptError
from modelport_worker.streams import LOG_FORMAT, log, log_handler

FILE = "logging.json"
SERVER = "azmlinfsrv"
"""The logger of v1's server; those of its parts are below it."""

INIT_DONE = "Users's init has completed successfully"
"""As v1's server wrote it: scripts that start one wait for this text."""


class AMLLogFormatter(logging.Formatter):
    """Times in UTC, and the format of v1's server where the configuration gives none."""

    def __init__(self, fmt: Optional[str] = None, datefmt: Optional[str] = None, style: str = "%") -> None:
        super().__init__(fmt or LOG_FORMAT.replace(",%(msecs)03d", ""), datefmt, style)  # type: ignore[arg-type]
        self.converter = time.gmtime


class RootAccessFilter(logging.Filter):
    """Lets everything through but the lines of probes."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "GET / HTTP/1." not in record.getMessage()


def load_logging_config(root: str, script: Optional[str]) -> None:
    """Use the ``logging.json`` of the app root, or else the one beside the script.

    Raises ScriptError where it is a configuration of Python's logging, but one that cannot be used.
    """
    beside = os.path.dirname(os.path.realpath(os.path.join(root, script))) if script else root
    path = next((file for file in (os.path.join(root, FILE), os.path.join(beside, FILE)) if os.path.isfile(file)), None)
    if path is None:
        return
    try:
        with open(path, encoding="utf-8") as file:
            configuration = json.load(file)
        if not isinstance(configuration, dict) or "version" not in configuration:
            log("{} has no version, as a configuration of Python's logging has: it is not used".format(path))
            return
        logging.config.dictConfig(configuration)
    except Exception as error:
        raise ScriptError("{} cannot be used to configure logging: {}".format(path, error)) from error
    logging.getLogger(SERVER).info("Loaded logging config from %s", path)


def log_prints() -> None:
    """From now on, what is printed to the standard output is a record of a logger, as in v1's stand-alone server."""
    logger = logging.getLogger(SERVER)
    if not logger.handlers:  # else a logging.json has said where they go
        logger.addHandler(log_handler())
        logger.setLevel(logging.getLogger().level)
        logger.propagate = False
    to_file, prints = builtins.print, logging.getLogger(SERVER + ".print")

    @functools.wraps(print)
    def print_to_log(*objects: Any, sep: Any = None, end: Any = "\n", file: Any = None, flush: Any = False) -> None:
        if file is None or file is sys.stdout:
            prints.info("%s", (" " if sep is None else sep).join(map(str, objects)))
        else:
            to_file(*objects, sep=sep, end=end, file=file, flush=flush)

    builtins.print = print_to_log
    logger.info("Starting up app insights client: there is none here; requests are lines of this output, sent nowhere")


def say_init_done() -> None:
    """Tell the log that ``init()`` has returned."""
    logging.getLogger(SERVER + ".user_script").info(INIT_DONE)

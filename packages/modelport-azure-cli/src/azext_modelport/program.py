"""Finds and runs the program ``az-ml``, which does what ``az ml`` says."""

import json
import os
import shutil
import subprocess
from typing import Any, List, Optional

NAME = "az-ml"
SETTING = "modelport.az_ml"


class ProgramMissing(Exception):
    """There is no ``az-ml`` that could be run; the text says where was looked and what to do."""


class ProgramFailed(Exception):
    """``az-ml`` ended with another code than 0; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def find(configured: Optional[str]) -> str:
    """The path of the program: what is configured, else what is on PATH. Raises ProgramMissing."""
    if configured:
        path = os.path.expanduser(configured)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
        raise ProgramMissing(
            "{} is set to {}, and no program is there. Set it anew: az config set {}=/path/to/{}".format(
                SETTING, configured, SETTING, NAME
            )
        )
    found = shutil.which(NAME)
    if found is None:
        raise ProgramMissing(
            "The program {0} of Modelport is not on PATH: az has a Python of its own, where Modelport is not. Install "
            "it (pip install modelport, Python 3.11 or newer) in an environment whose bin folder is on PATH, or say "
            "where it is: az config set {1}=/path/to/{0}".format(NAME, SETTING)
        )
    return found


def run(program: str, arguments: List[str]) -> Any:
    """Run it, its progress and errors going where ours go, and return what it printed as JSON; None for nothing.

    Raises ProgramMissing where it cannot be run, ProgramFailed where it failed.
    """
    try:
        started = subprocess.Popen([program, *arguments, "--output", "json"], stdout=subprocess.PIPE)
    except OSError as error:
        raise ProgramMissing("{} cannot be run: {}.".format(program, error)) from error
    printed = _printed(started)
    if started.returncode != 0:
        raise ProgramFailed(started.returncode)
    return json.loads(printed.decode("utf-8")) if printed.strip() else None


def _printed(started: "subprocess.Popen[bytes]") -> bytes:
    """All that it prints. An interrupt reaches the program too, which ends by itself and says so."""
    while True:
        try:
            return started.communicate()[0]
        except KeyboardInterrupt:
            continue

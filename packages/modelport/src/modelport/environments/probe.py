"""Asks an interpreter what it is, by running it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import EnvironmentException

OLDEST = (3, 6)
"""The oldest Python that the worker runs on."""

_TIMEOUT_S = 30
_QUESTION = (
    "import json,platform,sys;print(json.dumps([sys.executable,platform.python_version(),sys.version_info[:2]]))"
)


@dataclass(frozen=True)
class FoundPython:
    """An interpreter that answered."""

    path: str
    """Its own name for itself, absolute."""
    version: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def probe(python: str) -> FoundPython:
    """The interpreter at ``python``. Raises EnvironmentException where it does not run, or is too old."""
    path, version, minor = json.loads(_ask(python))
    if tuple(minor) < OLDEST:
        raise EnvironmentException(
            f"{python} is Python {version}; entry scripts run on Python {OLDEST[0]}.{OLDEST[1]} and newer.",
            hint="Name a newer interpreter.",
        )
    return FoundPython(path=path, version=version)


def running_base() -> FoundPython:
    """The installed Python that this program runs on, beneath any virtual environment."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (name, "python3", "python"):
        path = Path(sys.base_exec_prefix) / "bin" / candidate
        if path.exists():
            return FoundPython(path=str(path), version=platform.python_version())
    return running()


def running() -> FoundPython:
    """The interpreter of this program itself."""
    return FoundPython(path=sys.executable, version=platform.python_version())


def _ask(python: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    try:
        # -I: nothing of the caller's settings; -S: without site-packages, which may be what is broken.
        answer = subprocess.run(
            [python, "-I", "-S", "-c", _QUESTION], env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentException(f"The interpreter {python} does not run: {error}.") from error
    if answer.returncode != 0:
        said = answer.stderr.strip() or f"exit status {answer.returncode}"
        raise EnvironmentException(f"The interpreter {python} does not run: {said}")
    return answer.stdout

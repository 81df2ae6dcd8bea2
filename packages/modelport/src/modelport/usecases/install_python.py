"""Get a Python that this machine lacks, for the environments of all workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelport.domain.progress import Progress
from modelport.environments.interpreters import PYTHONS
from modelport.environments.probe import FoundPython
from modelport.environments.python_installation import PythonInstaller


def install_python(home: Path, version: str, *, channels: Sequence[str] = (), progress: Progress) -> FoundPython:
    """A Python of that version below the home folder; one that is there already is kept.

    Raises EnvironmentException, with what each place answered and what else to try.
    """
    return PythonInstaller(home / PYTHONS).install(version, channels=channels, progress=progress)

"""Finds the Pythons of this machine by version."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from modelport.domain.errors import EnvironmentException
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import sha256_of
from modelport.environments.probe import OLDEST, FoundPython, probe, running_base
from modelport.environments.python_request import PythonRequest
from modelport.environments.uv import run_uv

_FIND = ("python", "find", "--system", "--no-project", "--python-preference", "system")
_HOW_TO_GET = (
    "Install it where it is found: as a command such as python{minor} on PATH, by your system's packages, by pyenv, or "
    "with 'uv python install {minor}'; or ask for one that is there."
)


class Interpreters:
    """The installed Pythons. Answers are kept on disk, and hold as long as the interpreter is the file it was."""

    def __init__(self, cache: DiskCache) -> None:
        self._cache = cache

    def find(self, request: PythonRequest) -> tuple[FoundPython, tuple[str, ...]]:
        """The Python that fits best, and what the user should know about it.

        This program's own Python is taken if it fits, else the first that uv finds. Nothing is downloaded. Raises
        EnvironmentException, listing what is there, where none fits.
        """
        if request.wanted is None:
            return running_base(), ()
        path = search_path()
        key = sha256_of("python", request.wanted, path)
        found = self._kept(key)
        if found is None:
            found = _installed(request.wanted, path) or (_installed(request.minor, path) if request.minor else None)
            if found is None:
                raise _missing(request)
            self._cache.put(key, {"path": found.path, "version": found.version, "file": _identity(found.path)})
        return found, _notes(request, found)

    def forget(self, request: PythonRequest) -> None:
        """Look anew the next time."""
        self._cache.remove(sha256_of("python", request.wanted, search_path()))

    def _kept(self, key: str) -> FoundPython | None:
        kept = self._cache.get(key)
        if kept is None or kept.get("file") != _identity(kept["path"]):
            return None
        return FoundPython(kept["path"], kept["version"])


def _installed(wanted: str, path: str) -> FoundPython | None:
    answer = run_uv(*_FIND, wanted, cwd=Path(sys.base_exec_prefix), indexes=False, search_path=path)
    return probe(answer.output.strip()) if answer.succeeded else None


def _notes(request: PythonRequest, found: FoundPython) -> tuple[str, ...]:
    if request.minor is None or found.version == request.wanted:
        return ()
    return (f"{request.written} was asked for; Python {found.version} is taken.",)


def search_path() -> str:
    """PATH, with this program's own Python before it and the versions that pyenv installed after it.

    pyenv's commands on PATH refuse to run for the versions that are not the chosen one; the Pythons behind them do.
    """
    own = Path(sys.base_exec_prefix) / "bin"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = sorted(map(str, pyenv.glob("*/bin")), reverse=True)
    return os.pathsep.join([str(own), os.environ.get("PATH", os.defpath), *versions])


def installed_versions() -> list[str]:
    """The versions of all Pythons on this machine that a worker can run on, newest first."""
    answer = run_uv(
        *("python", "list", "--only-installed", "--output-format", "json"),
        cwd=Path(sys.base_exec_prefix),
        indexes=False,
        search_path=search_path(),
    )
    rows = json.loads(answer.output) if answer.succeeded else []
    numbers = {tuple(row["version_parts"].values()): row["version"] for row in rows}
    return [numbers[parts] for parts in sorted(numbers, reverse=True) if parts[:2] >= OLDEST]


def _missing(request: PythonRequest) -> EnvironmentException:
    minor = request.minor or request.wanted or ""
    numbers = [int(number) for number in minor.split(".")[:2] if number.isdigit()]
    if len(numbers) == 2 and tuple(numbers) < OLDEST:
        return EnvironmentException(
            f"{request.written} was asked for; entry scripts run on Python {OLDEST[0]}.{OLDEST[1]} and newer.",
            hint="Change the Python of the environment.",
        )
    there = ", ".join(installed_versions()) or "none"
    return EnvironmentException(
        f"{request.written} was asked for, and this machine has no such Python. Found: {there}.",
        hint=_HOW_TO_GET.format(minor=minor if minor[:1].isdigit() else "3.11"),
    )


def _identity(path: str) -> list[int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]

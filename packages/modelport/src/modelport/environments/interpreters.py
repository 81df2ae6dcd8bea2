"""Finds the Pythons of this machine by version."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress, Silent
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import sha256_of
from modelport.environments.probe import OLDEST, FoundPython, probe, running_base
from modelport.environments.python_installation import PythonInstaller, downloads_allowed, how_to_get
from modelport.environments.python_request import PythonRequest
from modelport.environments.uv import run_uv

_FIND = ("python", "find", "--system", "--no-project", "--python-preference", "system")
PYTHONS = "pythons"
"""Folder below the home with the Pythons that Modelport installed itself, each in a folder of its own."""


class Interpreters:
    """The installed Pythons. Answers are kept on disk, and hold as long as the interpreter is the file it was."""

    def __init__(self, cache: DiskCache, pythons: Path) -> None:
        self._cache = cache
        self._pythons = pythons

    def find(self, request: PythonRequest, *, progress: Progress | None = None) -> tuple[FoundPython, tuple[str, ...]]:
        """The Python that fits best, and what the user should know about it.

        This program's own Python is taken if it fits, else the first that uv finds. Where none fits, one is installed
        if ``MODELPORT_PYTHON_DOWNLOADS`` is ``automatic``; else nothing is downloaded, and EnvironmentException says
        what is there and how to get it.
        """
        if request.wanted is None:
            return running_base(), ()
        found = self._kept(self._key(request)) or self._look(request)
        if found is None:
            found = self._installed_now(request, progress or Silent())
        return found, _notes(request, found)

    def forget(self, request: PythonRequest) -> None:
        """Look anew the next time."""
        self._cache.remove(self._key(request))

    def _key(self, request: PythonRequest) -> str:
        return sha256_of("python", request.wanted, search_path(self._pythons))

    def _look(self, request: PythonRequest) -> FoundPython | None:
        path = search_path(self._pythons)
        found = _installed(request.wanted, path) or _installed(request.minor, path)
        if found is not None:
            kept = {"path": found.path, "version": found.version, "file": _identity(found.path)}
            self._cache.put(self._key(request), kept)
        return found

    def _installed_now(self, request: PythonRequest, progress: Progress) -> FoundPython:
        wanted = request.minor or request.wanted
        if not _is_too_old(request) and wanted is not None and downloads_allowed():
            return PythonInstaller(self._pythons).install(wanted, progress=progress)
        raise missing(request, self._pythons)

    def _kept(self, key: str) -> FoundPython | None:
        kept = self._cache.get(key)
        if kept is None or kept.get("file") != _identity(kept["path"]):
            return None
        return FoundPython(kept["path"], kept["version"])


def _installed(wanted: str | None, path: str) -> FoundPython | None:
    if wanted is None:
        return None
    answer = run_uv(*_FIND, wanted, cwd=Path(sys.base_exec_prefix), indexes=False, search_path=path)
    return probe(answer.output.strip()) if answer.succeeded else None


def _notes(request: PythonRequest, found: FoundPython) -> tuple[str, ...]:
    if request.minor is None or found.version == request.wanted:
        return ()
    return (f"{request.written} was asked for; Python {found.version} is taken.",)


def search_path(pythons: Path) -> str:
    """PATH, with this program's own Python before it and, after it, those that Modelport and pyenv installed.

    pyenv's commands on PATH refuse to run for the versions that are not the chosen one; the Pythons behind them do.
    """
    own = Path(sys.base_exec_prefix) / "bin"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = [str(folder) for root in (pythons, pyenv) for folder in sorted(root.glob("[!.]*/bin"), reverse=True)]
    return os.pathsep.join([str(own), os.environ.get("PATH", os.defpath), *versions])


def local_python(minor: str, pythons: Path | None = None) -> str | None:
    """The path of an interpreter of this machine of that version, such as ``3.11``; None where there is none.

    ``pythons`` is the folder with those that Modelport installed.
    """
    own = running_base()
    if own.minor == minor:
        return own.path
    path = search_path(pythons) if pythons else search_path(Path(os.devnull))
    try:
        found = _installed(minor, path)
    except EnvironmentException:
        return None
    return found.path if found and found.minor == minor else None


def installed_versions(pythons: Path) -> list[str]:
    """The versions of all Pythons on this machine that a worker can run on, newest first.

    ``pythons`` is the folder with those that Modelport installed.
    """
    answer = run_uv(
        *("python", "list", "--only-installed", "--output-format", "json"),
        cwd=Path(sys.base_exec_prefix),
        indexes=False,
        search_path=search_path(pythons),
    )
    rows = json.loads(answer.output) if answer.succeeded else []
    numbers = {tuple(row["version_parts"].values()): row["version"] for row in rows}
    return [numbers[parts] for parts in sorted(numbers, reverse=True) if parts[:2] >= OLDEST]


def missing(request: PythonRequest, pythons: Path) -> EnvironmentException:
    """The error for a Python that is not on this machine: what there is, and how to get it."""
    if _is_too_old(request):
        return EnvironmentException(
            f"{request.written} was asked for; entry scripts run on Python {OLDEST[0]}.{OLDEST[1]} and newer.",
            hint="Change the Python of the environment.",
        )
    there = ", ".join(installed_versions(pythons)) or "none"
    return EnvironmentException(
        f"{request.written} was asked for, and this machine has no such Python. Found: {there}.",
        hint=how_to_get(_minor_of(request) or "3.11"),
    )


def _minor_of(request: PythonRequest) -> str | None:
    wanted = request.minor or request.wanted or ""
    return wanted if wanted[:1].isdigit() else None


def _is_too_old(request: PythonRequest) -> bool:
    numbers = [int(number) for number in (_minor_of(request) or "").split(".")[:2] if number.isdigit()]
    return len(numbers) == 2 and tuple(numbers) < OLDEST


def _identity(path: str) -> list[int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]

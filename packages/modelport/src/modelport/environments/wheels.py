"""Which Pythons a package has wheels for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.complaints import resolution_failed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.interpreters import installed_versions
from modelport.environments.locks import sha256_of
from modelport.environments.probe import running_base
from modelport.environments.python_installation import downloads_allowed, how_to_get
from modelport.environments.requirement_lines import RequirementLine
from modelport.environments.uv import index_fingerprint, run_uv

_ELSEWHERE = tuple(f"3.{minor}" for minor in range(15, 5, -1))
"""Pythons that may have wheels where none of this machine's has."""
_LATE = 20
"""A patch release that every Requires-Python of the line admits."""
_OTHER_PYTHON = re.compile(
    r"no usable wheels|no wheels with a matching|Requires-Python|requires Python|depends on Python|Python>"
)


class Wheels:
    """Looks packages up in the index. Answers are kept on disk."""

    def __init__(self, cache: DiskCache, pythons: Path) -> None:
        """``pythons``: the folder with those that Modelport installed."""
        self._cache = cache
        self._pythons = pythons

    def python_for(self, requirement: str, *, progress: Progress) -> str:
        """The Python to install the package on without building it, as ``3.11``: this program's own where that has a
        wheel, else the newest of this machine that has, else, where Pythons may be downloaded, the newest of all.

        Raises ResolutionFailed where the index has no such package or does not answer; EnvironmentException, saying
        which Pythons have wheels and how to get one, where none of this machine has.
        """
        own = running_base().minor
        if not self._complaint(requirement, own):
            return own
        here = list(dict.fromkeys([own, *map(_minor, installed_versions(self._pythons))]))
        found = self._first(requirement, here)
        if found is not None:
            return found
        progress.step(f"No Python of this machine ({', '.join(here)}) has a wheel of {requirement}: looking for one")
        elsewhere = self._first(requirement, [minor for minor in _ELSEWHERE if minor not in here])
        if elsewhere is None:
            raise _failure(requirement, here[0], self._complaint(requirement, here[0]))
        if downloads_allowed():
            return elsewhere
        raise EnvironmentException(
            f"{requirement} has wheels for Python {elsewhere}, and this machine has {', '.join(here)}.",
            hint=how_to_get(elsewhere),
        )

    def _first(self, requirement: str, minors: Iterable[str]) -> str | None:
        return next((minor for minor in minors if not self._complaint(requirement, minor)), None)

    def _complaint(self, requirement: str, minor: str) -> str:
        """Why the Python has no wheel of it; empty where it has. Raises ResolutionFailed for any other trouble."""
        key = sha256_of("wheel", requirement, minor, index_fingerprint())
        kept = self._cache.get(key)
        if kept is None:
            kept = {"complaint": _asked(requirement, minor)}
            self._cache.put(key, kept)
        return str(kept["complaint"])


def _asked(requirement: str, minor: str) -> str:
    with tempfile.TemporaryDirectory(prefix="modelport-wheels-") as name:
        (Path(name) / "requirements.txt").write_text(f"{requirement}\n", encoding="utf-8")
        answer = run_uv(
            *("pip", "compile", "requirements.txt", "--no-deps", "--only-binary", ":all:", "--quiet", "--no-header"),
            *("--python", running_base().path, "--python-version", f"{minor}.{_LATE}"),
            cwd=Path(name),
        )
    if answer.succeeded:
        return ""
    if _OTHER_PYTHON.search(answer.complaint):
        return answer.complaint
    raise _failure(requirement, minor, answer.complaint)


def _failure(requirement: str, minor: str, complaint: str) -> EnvironmentException:
    line = RequirementLine(text=requirement, written=requirement, place="the model's framework", name=None)
    return resolution_failed(complaint, [line], python_version=minor)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])

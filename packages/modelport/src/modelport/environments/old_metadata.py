"""Packages whose own description no resolver can use: pandas 0.24 asks for ``pytz (>=2011k)``, which is no clause.

Installers of their time passed over such clauses; so does this. And the wheels of scikit-learn before 0.20 ask for
nothing, though they import NumPy and SciPy, which everybody had at the time. Sources of the formats: PEP 440 and the
core metadata specification; uv's reference, ``dependency-metadata``.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from modelport.environments.probe import FoundPython
from modelport.environments.requirement_lines import RequirementLine, index_options
from modelport.environments.uv import run_uv

_UNREADABLE = re.compile(r"Metadata for `([\w.-]+)` \(v([^)\s]+)\) could not be parsed")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^]]*])?\s*\(?([^;)]*)\)?\s*(;.*)?$")
_CLAUSE = re.compile(
    r"\s*(?:~=|===?|!=|<=?|>=?)\s*v?\d+(?:\.\d+)*(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|post|dev)\d*)*(?:\.\*)?\s*"
)
_SCIKIT_LEARN = re.compile(r"^scikit-learn==(0\.1\d(?:\.\d+)*)", re.MULTILINE)
_IMPORTED = ("numpy", "scipy")
"""What every scikit-learn imports."""


@dataclass(frozen=True)
class Readable:
    """What a package needs, in words that a resolver reads, and the clauses that were passed over."""

    name: str
    version: str
    requires: tuple[str, ...]
    passed_over: tuple[str, ...]
    undeclared: bool = False
    """The package does not say itself that it needs them."""

    @property
    def note(self) -> str:
        if self.undeclared:
            return (
                f"{self.name} {self.version} does not say that it needs {' and '.join(self.requires)}: they are taken."
            )
        return (
            f"{self.name} {self.version} describes itself in words that no installer reads any more: "
            f"{', '.join(self.passed_over) or 'its metadata'} is passed over, as installers of its time did."
        )

    @property
    def setting(self) -> str:
        """For uv's configuration file."""
        return (
            f"[[dependency-metadata]]\nname = {json.dumps(self.name)}\nversion = {json.dumps(self.version)}\n"
            f"requires-dist = {json.dumps(list(self.requires))}\n"
        )


def unreadable(complaint: str) -> tuple[str, str] | None:
    """Name and version of the package whose description uv could not read; None where that is not its complaint."""
    found = _UNREADABLE.search(complaint)
    return (found[1], found[2]) if found else None


def undeclared(pins: str) -> Readable | None:
    """What a pinned package needs without saying so; None where there is no such package, or all of it is pinned."""
    found = _SCIKIT_LEARN.search(pins)
    if found is None or all(re.search(rf"^{name}==", pins, re.MULTILINE) for name in _IMPORTED):
        return None
    return Readable("scikit-learn", found[1], _IMPORTED, (), undeclared=True)


def read_leniently(name: str, version: str, lines: Sequence[RequirementLine], python: FoundPython) -> Readable | None:
    """What the package needs, from the package itself; None where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="modelport-metadata-") as folder:
        wanted = "".join(f"{line}\n" for line in [*index_options(lines), f"{name}=={version}"])
        (Path(folder) / "wanted.txt").write_text(wanted, encoding="utf-8")
        answer = run_uv(
            *("pip", "install", "--quiet", "--no-deps", "--python", python.path),
            *("--target", "package", "-r", "wanted.txt"),
            cwd=Path(folder),
        )
        described = next(Path(folder).glob("package/*.dist-info/METADATA"), None)
        if not answer.succeeded or described is None:
            return None
        text = described.read_text(encoding="utf-8", errors="replace")
    requirements = HeaderParser().parsestr(text).get_all("Requires-Dist", [])
    passed_over: list[str] = []
    requires = tuple(_readable(str(line), passed_over) for line in requirements)
    return Readable(name, version, tuple(filter(None, requires)), tuple(passed_over))


def _readable(requirement: str, passed_over: list[str]) -> str:
    """The requirement without the clauses that are none."""
    found = _REQUIREMENT.match(requirement)
    if found is None:
        passed_over.append(requirement)
        return ""
    name, extras, clauses, marker = found.groups(default="")
    return f"{name}{extras}{','.join(_clauses(name, clauses, passed_over))}{f' {marker}' if marker else ''}"


def _clauses(name: str, clauses: str, passed_over: list[str]) -> Iterator[str]:
    for clause in filter(str.strip, clauses.split(",")):
        if _CLAUSE.fullmatch(clause):
            yield clause.strip()
        else:
            passed_over.append(f"{name}{clause.strip()}")

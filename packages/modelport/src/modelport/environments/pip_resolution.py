"""Resolves pip requirements to exact pins, and keeps what was found."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelport.environments.azureml_packages import OF_OLD_SERVER, OFTEN_REQUIRED
from modelport.environments.complaints import cannot_be_had, resolution_failed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import sha256_of
from modelport.environments.old_metadata import Readable, read_leniently, undeclared, unreadable
from modelport.environments.probe import FoundPython
from modelport.environments.requirement_lines import RequirementLine, index_options, normalised
from modelport.environments.uv import Answer, index_fingerprint, run_uv

_HASH = re.compile(r"--hash[= ]\s*(\S+)")
_LOCAL_PIN = re.compile(r"^(?:\S+\s+@\s+)?(file://\S+|/.*)$")
_SETUPTOOLS = RequirementLine(
    text="setuptools<81", written="setuptools<81", place="what conda's Python brings", name="setuptools"
)
"""Every environment of v1 had it, and packages of that time (MLflow 1.x is one) import its pkg_resources without saying
so. Later ones warn of that, or have none."""
_NOT_CONTENT = frozenset({".git", "__pycache__", "build", ".venv"})


@dataclass(frozen=True)
class Pins:
    """What was found: the text of a lock, and what the user should know about it."""

    text: str
    notes: tuple[str, ...] = ()


class PipResolver:
    """Exact pins for requirements. The same question gives the same answer, without asking an index again."""

    def __init__(self, cache: DiskCache) -> None:
        self._cache = cache

    def found(self, lines: Sequence[RequirementLine], python: FoundPython) -> Pins | None:
        """What was found earlier for the same lines, Python and index settings; None where nothing was."""
        kept = self._cache.get(_key(lines, python))
        return Pins(kept["pins"], tuple(kept.get("notes", ()))) if kept else None

    def resolve(self, lines: Sequence[RequirementLine], python: FoundPython) -> Pins:
        """Requirement lines with exact versions, and before them the index options that the user wrote.

        Raises ResolutionFailed. Pins of what only v1's scoring server needed are left out, and noted, where they cannot
        be had.
        """
        if not asks_for_packages(lines):
            return Pins("")
        found = self._found(lines, python)
        self._cache.put(_key(lines, python), {"pins": found.text, "notes": found.notes})
        return found

    def forget(self, lines: Sequence[RequirementLine], python: FoundPython) -> None:
        """The next resolution asks the index."""
        self._cache.remove(_key(lines, python))

    def _found(self, lines: Sequence[RequirementLine], python: FoundPython) -> Pins:
        """What uv finds; where it is an old list that stops it, what it finds for the rest of the list.

        With setuptools, unless the list names it or does not go with it.
        """
        kept, notes, described = list(lines), list[str](), list[Readable]()
        if all(line.name != _SETUPTOOLS.name for line in lines):
            kept.append(_SETUPTOOLS)
        while True:
            answer = _compile(kept, python, described)
            if answer.succeeded:
                silent = undeclared(answer.output)
                if silent is None or silent in described:
                    return Pins(lock_text(answer.output, kept), (*notes, *(each.note for each in described)))
                described.append(silent)
                continue
            readable = _described_anew(answer.complaint, kept, python, described)
            needless = [line for line in cannot_be_had(answer.complaint, kept) if line.name in OF_OLD_SERVER]
            if readable is not None:
                described.append(readable)
            elif needless:
                kept = [line for line in kept if line not in needless]
                notes += [_why_needless(line, python) for line in needless]
            elif _SETUPTOOLS in kept:
                kept.remove(_SETUPTOOLS)
            else:
                raise resolution_failed(answer.complaint, kept, python_version=python.version)


def _described_anew(
    complaint: str, lines: Sequence[RequirementLine], python: FoundPython, described: Sequence[Readable]
) -> Readable | None:
    package = unreadable(complaint)
    if package is None or package in [(each.name, each.version) for each in described]:
        return None
    return read_leniently(*package, lines, python)


def _why_needless(line: RequirementLine, python: FoundPython) -> str:
    return (
        f"{line.shown} is left out: it cannot be had for Python {python.version}, and v1's scoring server, "
        "which such pins were for, is not in this environment. A script that imports it needs another version of it."
    )


def _key(lines: Sequence[RequirementLine], python: FoundPython) -> str:
    asked = [(line.text, line.constraint) for line in lines]
    return sha256_of(
        "pip", asked, local_traces(lines), python.version, os.uname().sysname, os.uname().machine, index_fingerprint()
    )


def local_traces(lines: Sequence[RequirementLine]) -> list[list[tuple[str, int, int]]]:
    """What tells whether the local files that the lines name have changed."""
    return [list(_traces(line.local)) for line in lines if line.local]


def _compile(lines: Sequence[RequirementLine], python: FoundPython, described: Sequence[Readable]) -> Answer:
    """What uv makes of the lines."""
    with tempfile.TemporaryDirectory(prefix="modelport-resolve-") as name:
        folder = Path(name)
        write_requirements(lines, folder)
        if described:
            (folder / "uv.toml").write_text("".join(each.setting for each in described), encoding="utf-8")
        return run_uv(
            *("pip", "compile", "requirements.txt", "--constraints", "constraints.txt", "--excludes", "excludes.txt"),
            *("--python", python.path, "--quiet", "--no-header", "--no-annotate", "--no-strip-extras"),
            cwd=folder,
        )


def asks_for_packages(lines: Sequence[RequirementLine]) -> bool:
    """Whether there is anything to install."""
    return any(not line.is_option and not line.constraint for line in lines)


def write_requirements(lines: Sequence[RequirementLine], folder: Path) -> None:
    """Write ``requirements.txt``, ``constraints.txt`` and ``excludes.txt`` for uv.

    Lines keep their numbers, for complaints. Excluded is what is never fetched, whoever requires it.
    """
    (folder / "requirements.txt").write_text(_file(lines, constraints=False), encoding="utf-8")
    (folder / "constraints.txt").write_text(_file(lines, constraints=True), encoding="utf-8")
    (folder / "excludes.txt").write_text("".join(f"{name}\n" for name in OFTEN_REQUIRED), encoding="utf-8")


def lock_text(pins: str, lines: Sequence[RequirementLine]) -> str:
    """The pins that uv found as the text of a lock, after the index options that the user wrote."""
    return "".join(f"{line}\n" for line in [*index_options(lines), *_pinned(pins, lines)])


def _file(lines: Iterable[RequirementLine], *, constraints: bool) -> str:
    return "".join(f"{line.text if line.constraint is constraints else ''}\n" for line in lines)


def _pinned(output: str, lines: Sequence[RequirementLine]) -> Iterator[str]:
    """The pins, with the hashes that the user wrote, and with digests of the local files that they name."""
    hashes = {line.name: _HASH.findall(line.text) for line in lines if line.name}
    for pin in filter(None, map(str.strip, output.splitlines())):
        name = normalised(re.split(r"[\[=@\s]", pin, maxsplit=1)[0])
        yield _with_content(pin) + "".join(f" --hash={value}" for value in hashes.get(name, ()))


def _with_content(pin: str) -> str:
    match = _LOCAL_PIN.match(pin)
    if match is None or "#" in pin:
        return pin
    written = match[1]
    path = Path(written) if written.startswith("/") else Path(unquote(urlsplit(written).path))
    if not path.is_file():
        return f"{pin}  # content {sha256_of(list(_traces(path)))}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{pin} --hash=sha256:{digest}"


def _traces(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of the file, or of every file in the folder."""
    if path.is_file():
        yield str(path), path.stat().st_size, path.stat().st_mtime_ns
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in _NOT_CONTENT and not name.endswith(".egg-info"))
        for name in sorted(files):
            status = (Path(folder) / name).stat(follow_symlinks=False)
            yield str(Path(folder, name).relative_to(path)), status.st_size, status.st_mtime_ns

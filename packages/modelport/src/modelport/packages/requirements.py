"""A lock as requirements that can be installed elsewhere: what they name on this machine is shipped with them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.requirement_lines import normalised
from modelport.environments.uv import run_uv

FILES = "files"
"""Folder beside the requirements for the files that they name."""

_LOCAL = re.compile(
    r"(?:-e\s+)?(?:[\w.-]+(?:\[[^]]*])?\s*@\s*)?(?P<where>file://[^\s[]+|/[^\s[]+)(?:\[[^]]*])?(?P<rest>.*)$"
)
_LINKS = re.compile(r"(?:-f|--find-links)[= ]\s*(?P<where>file://\S+|/\S+)$")
_PIN = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*])?==(?P<version>[^\s;]+)")
_COMMENT = re.compile(r"\s+#.*$")


def ship_requirements(lines: Iterable[str], folder: Path, *, progress: Progress) -> list[str]:
    """The requirement lines, paths of this machine replaced by copies in ``folder/files``: archives as they are,
    folders built into wheels. Raises EnvironmentException where one is gone or does not build.
    """
    given = list(lines)
    return [_shipped(line, given, folder, progress) for line in given]


def _shipped(line: str, lines: list[str], folder: Path, progress: Progress) -> str:
    links = _LINKS.match(line)
    if links:
        return _ship_links(_path(links["where"]), lines, folder)
    local = _LOCAL.match(line)
    if local is None:
        return line
    path = _path(local["where"])
    if path.is_file():
        return f"./{FILES}/{_copied(path, folder).name}{_COMMENT.sub('', local['rest'])}"
    if path.is_dir():
        return f"./{FILES}/{_built(path, folder, progress).name}"
    raise EnvironmentException(f"The requirement {line!r} names {path}, which is gone.", hint="Deploy or package anew.")


def _ship_links(source: Path, lines: list[str], folder: Path) -> str:
    """A folder of archives: those that the pins name are shipped."""
    pins = {(normalised(pin["name"]), pin["version"]) for pin in map(_PIN.match, lines) if pin}
    for archive in _archives(source):
        if _named(archive) in pins:
            _copied(archive, folder)
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    return f"--find-links ./{FILES}"


def _archives(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.suffix in (".whl", ".gz", ".zip"))


def _named(archive: Path) -> tuple[str, str]:
    """Package and version, as the name of a wheel or a source archive says them."""
    if archive.suffix == ".whl":
        name, version, *_ = archive.name.split("-")
    else:
        name, _, version = archive.name.removesuffix(".tar.gz").removesuffix(".zip").rpartition("-")
    return normalised(name), version


def _copied(path: Path, folder: Path) -> Path:
    target = folder / FILES / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target


def _built(path: Path, folder: Path, progress: Progress) -> Path:
    progress.step(f"Building a wheel of {path}")
    files = folder / FILES
    before = set(files.glob("*.whl"))
    answer = run_uv("build", "--wheel", "--out-dir", str(files), str(path), cwd=path)
    made = sorted(set(files.glob("*.whl")) - before)
    if not answer.succeeded or not made:
        raise EnvironmentException(
            f"No wheel can be built of {path}.\n{answer.complaint}",
            hint="Build it yourself, and name the wheel instead of the folder.",
        )
    (files / ".gitignore").unlink(missing_ok=True)  # uv's own
    return made[0]


def _path(where: str) -> Path:
    return Path(unquote(urlsplit(where).path)) if where.startswith("file:") else Path(where)

"""Installs Python packages into folders, for any Python from 3.6 and any platform, and makes them part of an image.

The packages are those that uv finds wheels of for the platform of the image. What has no wheel is built here, where the
platform is that of this machine and it has the same Python.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from modelport.domain.errors import EnvironmentException
from modelport.environments.interpreters import local_python
from modelport.environments.probe import running_base
from modelport.environments.uv import run_uv
from modelport.images.image import Platform
from modelport.images.layers import WRITTEN_AT, Entry, entries_below
from modelport.images.pythons import ImagePython

_LATE = 20
"""A patch release that every Requires-Python of the line admits: that of the base is not known."""
_OLDEST_GLIBC, _NEWEST_GLIBC = 17, 40
"""Of the platforms that uv knows: manylinux_2_17 to manylinux_2_40."""

_NOT_CONTENT = frozenset({"uv_cache.json", "uv_build.json"})
"""Files that say when and where a package was installed."""
_BESIDE = ("bin", "share", "etc", "include")
"""Folders of an environment that a target folder has within it."""

_COMPILE = """
import compileall, os, re, sys
folder, place, written_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
for parent, _, names in os.walk(folder):
    for name in names:
        if name.endswith(".py"):
            os.utime(os.path.join(parent, name), (written_at, written_at))
more = {}
if sys.version_info >= (3, 7):
    import py_compile
    more["invalidation_mode"] = py_compile.PycInvalidationMode.UNCHECKED_HASH
compileall.compile_dir(folder, maxlevels=50, ddir=place, force=True, quiet=2, rx=re.compile(r"[/]tests?[/]"), **more)
"""
"""Files of tests are left out: nobody imports them in a service."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where packages are installed for: a Python of an image whose C library has a version."""

    python: ImagePython
    platform: Platform
    glibc: str | None

    @property
    def for_uv(self) -> str:
        """The platform in uv's words."""
        if self.glibc is None:
            return f"{self.platform.machine}-unknown-linux-musl"
        minor = int(self.glibc.split(".")[1])
        return f"{self.platform.machine}-manylinux_2_{min(max(minor, _OLDEST_GLIBC), _NEWEST_GLIBC)}"

    @property
    def local(self) -> str | None:
        """A Python of this machine of the same version."""
        return _local(self.python.minor)


@cache
def _local(minor: str) -> str | None:
    return local_python(minor)


def install(folder: Path, target: Target, arguments: Sequence[str], *, cwd: Path) -> None:
    """Have uv install into the folder what the arguments say.

    Raises EnvironmentException with what uv said.
    """
    own = target.local if target.platform.is_of_this_machine else None
    answer = run_uv(
        *("pip", "install", "--quiet", "--target", str(folder), "--python", own or running_base().path),
        *(
            "--python-version",
            f"{target.python.minor}.{_LATE}",
            "--python-platform",
            target.for_uv,
            "--link-mode",
            "copy",
        ),
        *([] if own else ["--only-binary", ":all:"]),
        *arguments,
        cwd=cwd,
    )
    if not answer.succeeded:
        raise EnvironmentException(
            f"The packages cannot be installed for Python {target.python.minor} on {target.platform}.\n"
            f"{answer.complaint}",
            hint=_hint(answer.complaint, target, own),
        )
    (folder / ".lock").unlink(missing_ok=True)


def _hint(complaint: str, target: Target, own: str | None) -> str:
    if own is None and re.search(
        r"no usable wheels|no wheels with a matching|building from source is disabled", complaint
    ):
        where = f"a machine of {target.platform}" if not target.platform.is_of_this_machine else "this machine"
        return f"A package has no wheel for it: build the image on {where} with Python {target.python.minor} installed."
    return "Check the network and the package index."


def tidy(folder: Path) -> None:
    """Take out what differs from one installation to the next: times, and paths of this machine."""
    for about in sorted(folder.glob("*.dist-info")):
        origin = about / "direct_url.json"
        if origin.exists() and '"file:' in origin.read_text(encoding="utf-8"):
            origin.unlink()
        for name in _NOT_CONTENT:
            (about / name).unlink(missing_ok=True)
        _rewrite_record(about)


def _rewrite_record(about: Path) -> None:
    """Without what is gone; programs lie beside the packages' folder, not within it. Their hashes are not kept."""
    record = about / "RECORD"
    if not record.exists():
        return
    rows = []
    for row in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        path = row[0]
        if not (about.parent / path).exists():
            continue
        if path.split("/")[0] in _BESIDE:
            row = [f"../../../{path}", *(("", "") if path.startswith("bin/") else row[1:])]
        rows.append(row)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    record.write_text(text.getvalue(), encoding="utf-8")


def compile_packages(folder: Path, place: str, python: str | None) -> bool:
    """Compile the modules of the folder for where they will lie, once and for all: nothing can be written there.

    Returns whether there was a Python to do it. Raises EnvironmentException where it did not come to its end; modules
    that are no Python of its version are left as they are.
    """
    if python is None:
        return False
    environ = {**os.environ, "PYTHONHASHSEED": "0"}  # sets in constants come out in one order
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX"):
        environ.pop(name, None)
    command = [python, "-S", "-B", "-c", _COMPILE, str(folder), place, str(WRITTEN_AT)]
    answer = subprocess.run(command, capture_output=True, env=environ, cwd=folder)
    if answer.returncode != 0:
        said = answer.stderr.decode(errors="replace").strip()
        raise EnvironmentException(
            f"The packages cannot be compiled: {python} ended with {answer.returncode}. {said}".rstrip(),
            hint="Try again; a negative number is a signal that ended it (-9: the memory may be short).",
        )
    return True


def environment_entries(packages: Path, prefix: str, python: ImagePython) -> Iterator[Entry]:
    """A virtual environment at ``prefix`` for the Python of the image, with the packages of the folder."""
    site = f"{prefix}/lib/python{python.minor}/site-packages"
    yield from virtual_environment(prefix, python)
    for entry in entries_below(packages, site):
        inside = entry.path.removeprefix(f"{site}/")
        top = inside.split("/")[0]
        if top not in _BESIDE or (packages / top / "__init__.py").exists():
            yield entry
        elif top == "bin" and entry.source is not None:
            yield Entry(path=f"{prefix}/{inside}", content=_program(entry.source, prefix), executable=True)
        else:
            yield Entry(
                path=f"{prefix}/{inside}", source=entry.source, target=entry.target, executable=entry.executable
            )


def virtual_environment(prefix: str, python: ImagePython) -> Iterator[Entry]:
    """One without packages. What Python reads of it: PEP 405."""
    settings = (
        f"home = {python.program.rpartition('/')[0]}\ninclude-system-site-packages = false\nversion = {python.minor}\n"
    )
    yield Entry(path=prefix)
    yield Entry(path=f"{prefix}/pyvenv.cfg", content=settings.encode())
    yield Entry(path=f"{prefix}/bin")
    yield Entry(path=f"{prefix}/bin/python", target=python.program)
    for name in ("python3", f"python{python.minor}"):
        yield Entry(path=f"{prefix}/bin/{name}", target="python")
    yield Entry(path=f"{prefix}/lib")
    yield Entry(path=f"{prefix}/lib/python{python.minor}")


def _program(file: Path, prefix: str) -> bytes:
    """A program of a package, started by the environment's Python instead of the one that installed it."""
    content = file.read_bytes()
    first, newline, rest = content.partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        return f"#!{prefix}/bin/python".encode() + newline + rest
    if content.startswith(b"#!/bin/sh\n") and b"exec" in content[:400]:  # of a path too long for a first line
        return f"#!{prefix}/bin/python\n".encode() + content.partition(b"' '''\n")[2]
    return content


def lines_file(folder: Path, name: str, lines: Iterable[str]) -> str:
    """Write the lines, and return the file's name."""
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name

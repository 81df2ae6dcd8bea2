"""A Python that the base lacks, brought from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelport.domain.progress import Silent
from modelport.exceptions import UserErrorException
from modelport.images.bases import Bases
from modelport.images.elf import wanted_by
from modelport.images.image import Platform
from modelport.images.layers import Entry
from modelport.images.pythons import brought

from .made_of_files import DEBIAN, GLIBC, debian, write_tar

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
HERE = Platform.of_this_machine()
LIBC = f"usr/lib/{HERE.machine}-linux-gnu/libc.so.6"


def _bring(folder: Path, base: Path, sources: Sequence[str]) -> dict[str, Entry]:
    bases = Bases(folder / "cache", progress=Silent())
    with brought(MINOR, sources, to=bases.read(str(base), HERE), bases=bases, platform=HERE) as python:
        return {entry.path: entry for entry in python.entries}


def _write(entries: dict[str, Entry], root: Path) -> None:
    for path, entry in entries.items():
        target = root / path.lstrip("/")
        if entry.source is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(entry.source.read_bytes())
            target.chmod(0o755)


def test_a_python_of_this_machine_works_where_it_is_put(tmp_path: Path) -> None:
    base = write_tar(tmp_path / "bare.tar", {LIBC: GLIBC.replace(b"2.36", b"2.99")})
    entries = _bring(tmp_path, base, [sys.base_prefix])
    _write(entries, tmp_path / "root")
    program = tmp_path / "root" / "opt" / "modelport" / "pythons" / MINOR / "bin" / f"python{MINOR}"
    libraries = tmp_path / "root" / LIBC
    code = "import ssl, zlib, json, sqlite3, os; print(os.__file__)"
    environ = {"LD_LIBRARY_PATH": str(libraries.parent), "PATH": os.defpath}
    said = subprocess.run([str(program), "-I", "-c", code], capture_output=True, text=True, env=environ)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(str(tmp_path / "root"))
    assert not [path for path in entries if "/test/" in path or "/idlelib/" in path or "/site-packages/" in path]
    program_needs = wanted_by(program)
    assert program_needs is not None
    assert program_needs.glibc > (2, 2)


@pytest.mark.parametrize("link", ["symbolic", "symbolic, by a second name", "a folder"])
def test_links_of_an_image_lead_to_nothing_of_this_machine(tmp_path: Path, link: str) -> None:
    """A file with a secret, which an image that is to bring a Python has a link to."""
    (tmp_path / "secret").write_text("of this machine")
    base = write_tar(tmp_path / "bare.tar", {LIBC: GLIBC})
    library = f"usr/lib/python{MINOR}"
    links = {
        "symbolic": {f"{library}/secret": str(tmp_path / "secret")},
        "symbolic, by a second name": {f"{library}/first": str(tmp_path / "secret")},
        "a folder": {f"{library}/all": str(tmp_path)},
    }[link]
    content = {f"usr/bin/python{MINOR}": b"", f"{library}/os.py": b"of the image"}
    image = write_tar(tmp_path / "image.tar", content, {**links, f"{library}/linked.py": "os.py"})
    if "second" in link:
        with tarfile.open(image, "a") as archive:
            member = tarfile.TarInfo(f"{library}/second")
            member.type, member.linkname = tarfile.LNKTYPE, f"{library}/first"
            archive.addfile(member)
    bases = Bases(tmp_path / "cache", progress=Silent())
    with brought(MINOR, [str(image)], to=bases.read(str(base), HERE), bases=bases, platform=HERE) as python:
        said = {entry.path.rpartition("/")[2]: entry.source.read_bytes() for entry in python.entries if entry.source}
    assert b"of this machine" not in said.values()
    assert said["os.py"] == said["linked.py"] == b"of the image"


def test_libraries_that_the_base_has_are_not_brought(tmp_path: Path) -> None:
    glibc = GLIBC.replace(b"2.36", b"2.99")
    lacking = _bring(tmp_path, write_tar(tmp_path / "bare.tar", {LIBC: glibc}), [sys.base_prefix])
    libraries = [path.lstrip("/") for path in lacking if "/opt/" not in path and ".so" in path]
    having = write_tar(tmp_path / "full.tar", {LIBC: glibc, **dict.fromkeys(libraries, b"there already")})
    assert libraries
    assert not [path for path in _bring(tmp_path, having, [sys.base_prefix]) if "/opt/" not in path and ".so" in path]


def test_a_base_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = write_tar(tmp_path / "old.tar", {LIBC: GLIBC.replace(b"2.36", b"2.3")})
    with pytest.raises(UserErrorException, match=rf"Python {MINOR} of .* needs the GNU C library 2\.\d+, and the base"):
        _bring(tmp_path, old, [sys.base_prefix])
    musl = write_tar(tmp_path / "musl.tar", {"lib/ld-musl-x86_64.so.1": b""})
    with pytest.raises(UserErrorException, match="has no GNU C library"):
        _bring(tmp_path, musl, [sys.base_prefix])


def test_the_first_source_that_has_it_counts(tmp_path: Path) -> None:
    other = debian(tmp_path / "other", without=["usr/bin/python3.11"])
    base = write_tar(tmp_path / "bare.tar", {LIBC: GLIBC.replace(b"2.36", b"2.99")})
    assert _bring(tmp_path, base, [str(other), sys.base_prefix])
    with pytest.raises(UserErrorException, match=rf"needs Python {MINOR}, which its base .*other/debian.tar has none"):
        _bring(tmp_path, base, [str(other)])
    assert "usr/bin/python3.11" in DEBIAN

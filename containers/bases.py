"""Base images for machines that reach no registry of images: made of Debian's packages, and of Pythons that are here.

They stand for the official images ``python:<minor>-slim-<release>`` that a package's Dockerfile names.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from containers.engines import Engine

RELEASE = "bookworm"
BASE = f"modelport-test/{RELEASE}"
"""Debian's own Python 3.11 in /usr, with venv."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport-tests"


def import_base(engine: Engine) -> str:
    """Have the engine know the base image; returns its name."""
    engine.run("import", str(base_archive()), BASE)
    return BASE


def base_archive() -> Path:
    """The root of a small Debian as an archive, made once for this machine: it takes a minute or two."""
    archive = CACHE / f"{RELEASE}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "bases.lock").open("a") as lock:  # several processes of tests may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return archive if archive.exists() else _made(archive)


def _made(archive: Path) -> Path:
    root = CACHE / f"{RELEASE}.root"
    shutil.rmtree(root, ignore_errors=True)
    include = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", include, RELEASE, str(root)], check=True, stdout=sys.stderr)
    # Package indexes are reached from inside as from here, also where this machine trusts an authority of its own.
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
    draft = archive.with_suffix(".new")
    exclude = [
        "--exclude=./var/cache/apt/*",
        "--exclude=./var/lib/apt/lists/*",
        "--exclude=./proc/*",
        "--exclude=./dev/*",
    ]
    subprocess.run(["tar", "--create", "--file", str(draft), *exclude, "--directory", str(root), "."], check=True)
    shutil.rmtree(root)
    return draft.rename(archive)


def build_python_image(engine: Engine, minor: str, folder: Path) -> str | None:
    """An image with that Python in /usr/local, as official ones have theirs; None where this machine has none."""
    home = find_python(minor)
    if home is None:
        return None
    name = f"modelport-test/python{minor}"
    shutil.copytree(
        home, folder / "local", symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__", "site-packages")
    )
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY local /usr/local\nRUN ldconfig && python{minor} --version\n")
    engine.run("build", "--tag", name, str(folder))
    return name


def find_python(minor: str) -> Path | None:
    """The prefix of an installed Python."""
    for command in (f"python{minor}", *sorted(Path.home().glob(f".pyenv/versions/{minor}.*/bin/python{minor}"))):
        ask = [str(command), "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"]
        try:
            answer = subprocess.run(ask, capture_output=True, text=True)
        except OSError:
            continue
        version, _, prefix = answer.stdout.strip().partition(" ")
        if answer.returncode == 0 and version == minor and prefix != "/usr":
            return Path(prefix)
    return None

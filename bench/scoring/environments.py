"""A virtual environment for each peer, made once by the uv beside this interpreter and kept below ``.bench``."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from modelport.environments.index_settings import for_uv, uv_options

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".bench"
READY = ".ready"


class CannotInstall(Exception):
    """A peer's requirements cannot be installed here; the message is the installer's own."""


def environment_for(requirements: Path) -> Path:
    """The interpreter of the environment with exactly those requirements, installed where it is not yet.

    Raises CannotInstall.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / "environments" / f"{requirements.parent.name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / READY).exists():
        print(f"bench: installing {requirements.parent.name} (once)", flush=True)
        install(requirements, folder)
        (folder / READY).touch()
    return python


def install(requirements: Path, folder: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    target = ["--python", str(folder / "bin" / "python"), "--requirements", str(requirements)]
    run([uv, "pip", "install", "--quiet", "--compile-bytecode", *uv_options(os.environ), *target])


def run(command: list[str]) -> None:
    """An installer: packages come from where pip's configuration or uv's variables say, as with ``make setup``."""
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **for_uv(os.environ)})
    if ended.returncode:
        said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        raise CannotInstall(" ".join(said)[:300] or f"{command[0]} ended with status {ended.returncode}")

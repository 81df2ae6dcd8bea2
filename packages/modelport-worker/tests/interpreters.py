"""Finds the Pythons that the tests run workers on, and makes environments for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import uv

VERSIONS = ("3.6", "3.8", "3.11", "3.13")


@cache
def find_interpreter(version: str) -> str | None:
    """A bare Python of the version from PATH, through pyenv's shims too, or None."""
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    asked = subprocess.run(
        [found, "-c", "import sys; print(getattr(sys, '_base_executable', None) or sys.executable)"],
        env={**os.environ, "PYENV_VERSION": version},
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip() or None


def interpreter_or_skip(version: str) -> str:
    found = find_interpreter(version)
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    return found


def make_environment(folder: Path, *, version: str, requirements: list[str]) -> str:
    """A virtual environment with the requirements; its interpreter."""
    program = uv.find_uv_bin()
    subprocess.run(
        [interpreter_or_skip(version), "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True
    )
    python = str(folder / "bin" / "python")
    install = [program, "pip", "install", "--quiet", "--python", python, *requirements]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{requirements} could not be installed for Python {version}:\n{done.stderr}")
    return python


THIS_PYTHON = sys.executable
"""The development environment: it has numpy, pandas, orjson and inference-schema."""

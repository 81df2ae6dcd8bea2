"""Runs uv, whose executable comes with the package of that name."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from modelport.domain.errors import EnvironmentException
from modelport.environments.index_settings import for_uv, uv_configuration_files, uv_options
from modelport.environments.locks import sha256_of

_OURS = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_NO_WRAP": "1"}
"""No Python is downloaded behind the user's back, and what uv says can be read by programs and in log files."""

_ELSEWHERE = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_SYSTEM_PYTHON"})
"""Variables that would point uv, or the Pythons it runs, at another environment than the one that is meant."""

_NO_MATTER = frozenset({"UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", *_OURS})
"""Variables that say how packages are fetched, not which."""

_FILE_LISTS = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT")


@dataclass(frozen=True)
class Answer:
    """What uv said."""

    succeeded: bool
    output: str
    log: str

    @property
    def complaint(self) -> str:
        """What it logged, fit to be shown."""
        return without_credentials(self.log.strip())


def run_uv(
    *arguments: str,
    cwd: Path,
    indexes: bool = True,
    search_path: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Answer:
    """Run uv in the folder ``cwd``. ``indexes``: it may ask package indexes, as pip's or its own settings say.

    ``variables`` are set over all others.

    Raises EnvironmentException where uv cannot be started.
    """
    environ = {**uv_environment(), **(variables or {})}
    if search_path is not None:
        environ["PATH"] = search_path
    options = ["--directory", str(cwd), *([] if indexes else ["--no-config"])]
    more = uv_options(os.environ) if indexes else []
    try:
        ended = subprocess.run(
            [find_uv_bin(), *arguments, *options, *more],
            env=environ,
            cwd=cwd,
            capture_output=True,
            text=True,
            close_fds=False,  # the lock of the environment that it works on is inherited (prefixes.py); nothing else is
        )
    except OSError as error:
        hint = "Install Modelport anew: the package 'uv' is part of it."
        raise EnvironmentException(f"uv cannot be started: {error}.", hint=hint) from error
    return Answer(ended.returncode == 0, ended.stdout, ended.stderr)


def uv_environment() -> dict[str, str]:
    """The variables that uv runs with."""
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return {**inherited, **_locale(inherited), **for_uv(os.environ), **_OURS}


def _locale(environ: Mapping[str, str]) -> dict[str, str]:
    """One of UTF-8 where there is none: Python 3.6 and 3.7 could not tell uv where they are, in a folder not ASCII."""
    named = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    return {"LC_ALL": "C.UTF-8"} if named in ("C", "POSIX") else {}


def index_fingerprint() -> str:
    """A digest of all settings that decide which packages uv finds. Nothing can be read back from it."""
    environ = uv_environment()
    chosen = {name: value for name, value in environ.items() if name.startswith("UV_") and name not in _NO_MATTER}
    named = [Path(file) for name in _FILE_LISTS for file in environ.get(name, "").split()]
    files = [_content(file) for file in [*named, *uv_configuration_files(environ)]]
    return sha256_of(chosen, files, uv_options(os.environ))


def without_credentials(text: str) -> str:
    """The text without the user names and passwords of its URLs."""
    return re.sub(r"(?<=://)[^/\s]+@", "", text)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return str(error)

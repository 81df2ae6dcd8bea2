"""A PostgreSQL server of one's own: on a socket in a temporary folder, gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

SUPERUSER = "modelport"


@contextlib.contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of a server's database ``postgres``; the server runs as long as the context."""
    home = Path(tempfile.mkdtemp(prefix="mp-pg-", dir="/tmp"))  # a socket's path may have 107 bytes
    try:
        yield from _running(home)
    finally:
        shutil.rmtree(home)


def _running(home: Path) -> Iterator[str]:
    user = _hand_over(home)
    programs = _programs(home)
    data = home / "data"
    init = ["--no-sync", "--encoding=UTF8", "--no-locale", "--auth=trust", f"--username={SUPERUSER}"]
    _run(programs / "initdb", "-D", str(data), *init, user=user)
    settings = f"-F -c listen_addresses='' -c unix_socket_directories='{home}' -c max_connections=60"
    log = str(home / "log")
    _run(programs / "pg_ctl", "-D", str(data), "-w", "-l", log, "-o", settings, "start", user=user)
    try:
        yield f"postgresql://{SUPERUSER}@/postgres?host={home}"
    finally:
        _run(programs / "pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop", user=user)


def _hand_over(home: Path) -> str | None:
    """PostgreSQL refuses to run as root: give the folder to a user without rights, and return the name."""
    if os.geteuid() != 0:
        return None
    shutil.chown(home, "nobody")
    return "nobody"


def _programs(home: Path) -> Path:
    """The folder of initdb and pg_ctl: on PATH, where Debian keeps them, or from the pgserver package."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if debian:
        return debian[-1].parent
    package = find_spec("pgserver")
    if package is None or package.origin is None:
        pytest.skip("no PostgreSQL: neither initdb nor the pgserver package is installed")
    return _copied(Path(package.origin).parent / "pginstall", home)


def _copied(installation: Path, home: Path) -> Path:
    """The package may lie where ``nobody`` cannot read."""
    return Path(shutil.copytree(installation, home / "pginstall", symlinks=True)) / "bin"


def _run(program: Path, *arguments: str, user: str | None) -> None:
    # The server keeps what it inherits: a pipe would never end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            cwd="/",
            check=False,
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode()

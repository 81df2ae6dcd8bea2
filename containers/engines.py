"""Container engines for the tests: Docker's daemon in a folder of its own, and Podman with one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 60

_CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""Podman on machines that are containers or small virtual machines themselves, without systemd."""


@dataclass(frozen=True)
class Engine:
    """One that runs. ``command`` is what every call begins with."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, check: bool = True, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Call it; what it says is in the result."""
        with Path(stdin or os.devnull).open("rb") as given:
            ended = subprocess.run(
                [*self.command, *arguments],
                env={**os.environ, **self.environ},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert ended.returncode == 0 or not check, f"{self.name} {' '.join(arguments)}\n{ended.stdout}"
        return ended

    def says(self, *arguments: str) -> str:
        """What it printed."""
        return self.run(*arguments).stdout.strip()


@contextmanager
def docker(folder: Path) -> Iterator[Engine]:
    """A Docker daemon that keeps everything in the folder, and goes with it."""
    socket = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec", "--host", socket]
    command += ["--pidfile", f"{folder}/pid", "--storage-driver", "overlay2"]
    engine = Engine("docker", ["docker", "--host", socket], {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0"})
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while engine.run("info", check=False).returncode != 0:
                assert time.monotonic() < deadline and daemon.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            yield engine
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE_S)
    _unmount(folder)


@contextmanager
def podman(folder: Path) -> Iterator[Engine]:
    """Podman with its storage in the folder."""
    settings = folder / "containers.conf"
    settings.write_text(_CONTAINERS_CONF)
    command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
    engine = Engine("podman", command, {"CONTAINERS_CONF": str(settings), "TMPDIR": str(folder)})
    try:
        yield engine
    finally:
        engine.run("system", "prune", "--all", "--force", check=False)
        _unmount(folder)


def _unmount(folder: Path) -> None:
    """Engines leave mounts behind, and a folder with a mount in it cannot be removed."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)

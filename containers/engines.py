"""Container engines for the tests: Docker's daemon in a folder of its own, and Podman with one."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from containers.rules import remove_left_rules

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
class SecureAddress:
    """A port for clients with a certificate of the same authority; the client's are named as Docker's own."""

    address: str
    folder: Path


@dataclass
class Engine:
    """One that runs. ``command`` is what every call begins with."""

    name: str
    command: Sequence[str]
    address: str
    """Where its API is."""
    daemon: Sequence[str]
    """What serves that."""
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    secure: SecureAddress | None = None
    """Where it can be reached by TLS."""
    process: subprocess.Popen[bytes] | None = None

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

    def names_of(self, *listing: str) -> set[str]:
        """The names that a listing has, a line each: ``volume ls``, for example."""
        return set(self.says(*listing).splitlines())

    def start(self) -> None:
        """Have its API answer."""
        with (self.folder / "log").open("ab") as log:
            environ = {**os.environ, **self.environ}
            # Podman's monitors leave files where they are.
            self.process = subprocess.Popen(
                self.daemon, stdout=log, stderr=log, env=environ, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(self.address):
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End what answers. Docker's containers end with it; Podman's go on until the machine does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None

    def reboot(self) -> None:
        """What is left of containers and engine after a power cut, and the engine started again."""
        if self.name == "podman":
            self.run("kill", "--all", check=False)
        self.stop()
        self.start()


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True


@contextmanager
def docker(folder: Path) -> Iterator[Engine]:
    """A Docker daemon that keeps everything in the folder, and goes with it."""
    address = f"unix://{folder}/docker.sock"
    daemon = ["dockerd", "--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec", "--host", address]
    daemon += ["--pidfile", f"{folder}/pid", "--storage-driver", "overlay2"]
    secure = _secure(folder)
    daemon += ["--host", secure.address, "--tlsverify"]
    for option, name in (("--tlscacert", "ca.pem"), ("--tlscert", "engine.pem"), ("--tlskey", "engine-key.pem")):
        daemon += [option, str(secure.folder / name)]
    environ = {"DOCKER_HOST": address, "DOCKER_BUILDKIT": "0"}
    with _alone(), _bridge() as bridge:
        daemon += ["--bridge", bridge]
        command = ["docker", "--host", address]
        with _served(Engine("docker", command, address, daemon, folder, environ, secure)) as engine:
            yield engine


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other run of the tests has a daemon: one that starts makes Docker's chains in the packet filter,
    and another one that publishes a port in that moment does not find them."""
    with Path(tempfile.gettempdir(), "modelport-docker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _bridge() -> Iterator[str]:
    """A network device of this process's own. Daemons that share one give two containers the same address: another
    run of the tests, and the Docker that this machine may have."""
    upper, lower = divmod(os.getpid() % 2**14, 256)
    name = f"modelport-{os.getpid()}"[:15]
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"10.{192 + upper}.{lower}.1/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)
        remove_left_rules()  # the daemon has gone without


def _secure(folder: Path) -> SecureAddress:
    """A free port, and certificates of an authority that nobody else knows."""
    made = folder / "tls"
    made.mkdir()
    write_certificates(made)
    with socket.create_server(("127.0.0.1", 0)) as server:
        return SecureAddress(f"tcp://127.0.0.1:{server.getsockname()[1]}", made)


def write_certificates(folder: Path) -> None:
    """Of a new authority, for an engine of this machine and for a client."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, key in (("engine", "engine-key"), ("cert", "key")):
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{key}.pem")


@contextmanager
def podman(folder: Path) -> Iterator[Engine]:
    """Podman with its storage in the folder."""
    settings = folder / "containers.conf"
    settings.write_text(_CONTAINERS_CONF)
    command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
    address = f"unix://{folder}/podman.sock"
    daemon = [*command, "system", "service", "--time=0", address]
    environ = {"CONTAINERS_CONF": str(settings), "TMPDIR": str(folder)}
    with _served(Engine("podman", command, address, daemon, folder, environ)) as engine:
        try:
            yield engine
        finally:
            for _ in range(2):  # those whose network others have go the second time
                engine.run("rm", "--all", "--force", "--time", "0", check=False)
            engine.run("system", "prune", "--all", "--force", check=False)
            remove_left_rules()


@contextmanager
def _served(engine: Engine) -> Iterator[Engine]:
    remove_left_rules()  # of runs that were killed
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()
        _unmount(engine.folder)


def _unmount(folder: Path) -> None:
    """Engines leave mounts behind, and a folder with a mount in it cannot be removed."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)

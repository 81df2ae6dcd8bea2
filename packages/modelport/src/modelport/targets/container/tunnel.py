"""A socket of another machine, brought here by ssh.

The user's own ssh is run, with the user's own configuration, keys and known hosts. It forwards a socket, so that the
other machine needs neither Docker's program nor Podman's, and one login serves all that is asked.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCKER_SOCKET = "/var/run/docker.sock"
"""Where an address names no path. One of Podman does: ``ssh://me@host/run/podman/podman.sock``."""

_OPTIONS = (
    "BatchMode=yes",  # nobody is there to answer
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ExitOnForwardFailure=yes",
    "ControlMaster=no",  # a connection that others share would keep the socket after us
    "ControlPath=none",
    "LogLevel=ERROR",
)
_WITHIN_S = 30.0
_PAUSE_S = 0.02


class NoTunnel(OSError):
    """ssh did not get through. The text is what it said."""


def remote_socket(address: str) -> str:
    """The path of the engine's socket on its machine."""
    path = unquote(urlsplit(address).path)
    return path if path.strip("/") else DOCKER_SOCKET


def destination(address: str) -> list[str]:
    """The machine and the user, as ssh takes them."""
    parts = urlsplit(address)
    port = ["-p", str(parts.port)] if parts.port else []
    return [*port, "--", f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)]


def machine_of(address: str) -> str:
    """The name or the address of the machine, as ``~/.ssh/config`` has it where that knows it by another name: clients
    of services do not read that."""
    told = ""
    with contextlib.suppress(OSError):
        command = ["ssh", "-G", *destination(address)]
        told = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    found = (line.partition(" ")[2] for line in told.splitlines() if line.startswith("hostname "))
    return next(found, str(urlsplit(address).hostname))


class Tunnel:
    """A socket of this machine that leads to the engine at ``ssh://…``.

    It stays until it is closed or forgotten, or this program ends, however that does: ssh runs a program over there
    that reads from us, and ends with it.
    """

    def __init__(self, address: str) -> None:
        """Raises NoTunnel where ssh does not get through. Whether anybody listens on the other side shows when it is
        used."""
        folder = tempfile.TemporaryDirectory(prefix="modelport-ssh-")
        self.path = f"{folder.name}/engine.sock"
        command = [
            "ssh",
            *_options(),
            "-T",
            "-L",
            f"{self.path}:{remote_socket(address)}",
            *destination(address),
            "cat",
        ]
        said = Path(folder.name) / "said"
        try:
            self._process = _started(command, said)
        except BaseException:
            folder.cleanup()
            raise
        self.close = weakref.finalize(self, _end, self._process, folder)
        try:
            _wait(self._process, Path(self.path), said)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        return self._process.poll() is None


def _options() -> list[str]:
    return [part for option in _OPTIONS for part in ("-o", option)]


def _started(command: list[str], said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as errors:
        try:
            # In a session of its own: a Ctrl-C here is ours.
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )
        except FileNotFoundError:
            raise NoTunnel("there is no program ssh on this machine") from None


def _end(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.terminate()
    process.wait()
    folder.cleanup()


def _wait(process: subprocess.Popen[bytes], path: Path, said: Path) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not path.exists():
        if process.poll() is not None:
            raise NoTunnel(_last(said) or f"ssh ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise NoTunnel(f"ssh did not get through within {_WITHIN_S:.0f} s")
        time.sleep(_PAUSE_S)


def _last(said: Path) -> str:
    """What ssh said, on a line."""
    return " ".join(said.read_text(encoding="utf-8", errors="replace").split())


def why_nobody_answers(address: str) -> str:
    """Asked for on the other machine after a failure: its ssh server does not say why a socket could not be opened."""
    path = remote_socket(address)
    quoted = shlex.quote(path)
    script = (
        f"[ -e {quoted} ] || {{ echo there is no {quoted}; exit; }}; "
        f'[ -w {quoted} ] || {{ echo "$(id -un) may not use" {quoted}; exit; }}; echo nobody listens at {quoted}'
    )
    command = ["ssh", *_options(), "-nT", *destination(address), script]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, stdin=subprocess.DEVNULL)
        if told.returncode == 0 and told.stdout.strip():
            return f"on that machine {told.stdout.strip()}"
    return f"the socket {path} of that machine cannot be opened"

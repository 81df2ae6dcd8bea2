"""A socket of another machine, brought here by ssh.

The user's own ssh is run, with the user's own configuration, keys and known hosts. It forwards a socket, so that the
other machine needs neither Docker's program nor Podman's, and one login serves all that is asked.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def tunnel(address: str) -> Iterator[str]:
    """The path of a socket of this machine that leads to the engine at ``ssh://…``, until it is left.

    Raises NoTunnel where ssh does not get through. Whether anybody listens on the other side shows when it is used.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-ssh-") as folder:
        path = f"{folder}/engine.sock"
        options = [part for option in _OPTIONS for part in ("-o", option)]
        command = ["ssh", *options, "-nNT", "-L", f"{path}:{remote_socket(address)}", *destination(address)]
        said = Path(folder) / "said"
        with _started(command, said) as process:
            _wait(process, Path(path), said)
            yield path


@contextlib.contextmanager
def _started(command: list[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    with said.open("wb") as errors:
        try:
            # In a session of its own: a Ctrl-C here ends it when we are ready for that.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
            )
        except FileNotFoundError:
            raise NoTunnel("there is no program ssh on this machine") from None
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


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
    script = (
        f'[ -e "{path}" ] || {{ echo "there is no {path}"; exit; }}; '
        f'[ -w "{path}" ] || {{ echo "$(id -un) may not use {path}"; exit; }}; echo "nobody listens at {path}"'
    )
    options = [part for option in _OPTIONS for part in ("-o", option)]
    command = ["ssh", *options, "-nT", *destination(address), script]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, stdin=subprocess.DEVNULL)
        if told.returncode == 0 and told.stdout.strip():
            return f"on that machine {told.stdout.strip()}"
    return f"the socket {path} of that machine cannot be opened"

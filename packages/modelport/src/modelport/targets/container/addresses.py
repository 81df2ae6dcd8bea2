"""Where container engines listen. Nothing is asked here: whether one answers, its client finds out."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

ENGINE_VARIABLE = "MODELPORT_CONTAINER_ENGINE"
"""The engine that runs services: its address (``unix:///run/podman/podman.sock``, ``tcp://host:2376``, ``ssh://…``), or
``docker`` or ``podman``, which is the one of this machine."""
DOCKER_VARIABLE = "DOCKER_HOST"
_SSH_PORT = 22
FOR_ALL_USERS = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))


def find_engine(environ: Mapping[str, str]) -> str | None:
    """The engine's address: the one that a variable names, else the first usual socket that is there."""
    named = environ.get(ENGINE_VARIABLE) or environ.get(DOCKER_VARIABLE) or ""
    if "/" in named:
        return _address(named)
    found = (path for path in _usual_sockets(environ) if named in path.name and _is_socket(path))
    return next((f"unix://{path}" for path in found), None)


def known_engines(environ: Mapping[str, str]) -> dict[str, str]:
    """The addresses of all that may be used, and why: what variables name, and each usual socket that is there."""
    named = {name: environ.get(name, "") for name in (ENGINE_VARIABLE, DOCKER_VARIABLE)}
    found = {_address(value): f"{name} names it" for name, value in reversed(named.items()) if "/" in value}
    for path in _usual_sockets(environ):
        if _is_socket(path):
            found.setdefault(f"unix://{path}", "its usual socket is there")
    return found


def _address(named: str) -> str:
    return f"unix://{named}" if named.startswith("/") else named


def _usual_sockets(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where Docker and Podman listen, for all users and for this one alone."""
    yield from FOR_ALL_USERS
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    yield Path(runtime) / "docker.sock"
    yield Path(runtime) / "podman" / "podman.sock"
    if environ.get("HOME"):
        yield Path(environ["HOME"]) / ".docker" / "run" / "docker.sock"


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # in the folder of another user
        return False


def host_of(engine: str) -> str | None:
    """The machine that the engine's containers are reached at; None where it is this one.

    A loopback address is this one; but for ssh by a port of its own, which leads to a virtual machine as a rule.
    """
    parts = urlsplit(engine)
    if parts.scheme not in ("tcp", "http", "https", "ssh"):
        return None
    is_forwarded = parts.scheme == "ssh" and parts.port not in (None, _SSH_PORT)
    return parts.hostname if is_forwarded or not _is_loopback(parts.hostname or "") else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

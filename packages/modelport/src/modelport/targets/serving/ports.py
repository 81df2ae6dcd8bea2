"""Whether an address of this machine can be listened on, and who has it where not."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from modelport.domain.errors import WebserviceException

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING = "0A"


def check_address(host: str, port: int | None) -> None:
    """Raise WebserviceException, naming the process where it can be found out, unless one can listen there.

    Without a port: unless the address is one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise _refusal(host, port, error) from error


def _refusal(host: str, port: int | None, error: OSError) -> WebserviceException:
    if not port or isinstance(error, socket.gaierror):
        return WebserviceException(
            f"The address {host} cannot be listened on: {error.strerror}.",
            hint="Give host 127.0.0.1 (for this machine only), 0.0.0.0 (for all), or another address of this machine.",
        )
    if isinstance(error, PermissionError):
        return WebserviceException(
            f"Port {port} cannot be listened on: {error.strerror}.",
            hint="Ports below 1024 need root; choose a higher one.",
        )
    return WebserviceException(
        f"Port {port} of {host} cannot be listened on: {error.strerror}{_by_whom(port)}.",
        hint="Choose another port, leave it out to get a free one, or end what uses it.",
    )


def _by_whom(port: int) -> str:
    inodes = _listeners(port)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and inodes & _sockets_of(folder):
            with contextlib.suppress(OSError):
                return f" (process {folder.name}, {(folder / 'comm').read_text().strip()}, has it)"
    return ""


def _listeners(port: int) -> set[str]:
    """Inodes of the sockets that listen on the port (proc(5), /proc/net/tcp)."""
    inodes = set()
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _sockets_of(process: Path) -> set[str]:
    with contextlib.suppress(OSError):
        return {link for entry in os.scandir(process / "fd") if (link := _target(entry.path)).startswith("socket:")}
    return set()


def _target(path: str) -> str:
    with contextlib.suppress(OSError):
        return str(Path(path).readlink())
    return ""

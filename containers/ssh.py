"""An ssh server of this machine, and a client that knows it: both have keys of their own, and touch no others."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.engines import PATIENCE_S
from own_ports import own_port

_SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
_CLIENT = """
IdentityFile {folder}/user_key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
Host by-its-name
HostName 127.0.0.1
Port {port}
User root
"""

_ESTABLISHED = "01"


@dataclass(frozen=True)
class SshServer:
    """One that runs."""

    port: int
    folder: Path

    @property
    def programs(self) -> Path:
        """A folder with a program ``ssh`` that has this server's key, and offers the user's."""
        return self.folder / "bin"

    def address(self, path: str) -> str:
        """Of an engine whose socket that is."""
        return f"ssh://root@127.0.0.1:{self.port}{path}"

    @property
    def logins(self) -> int:
        """How many there were."""
        return (self.folder / "log").read_text().count("Accepted publickey")

    @property
    def connections(self) -> int:
        """How many there are."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] == _ESTABLISHED for row in rows)

    def forget_host(self) -> None:
        """Have the client not know the server."""
        (self.folder / "known_hosts").write_text("")

    def know_host(self) -> None:
        key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}")

    def new_user_key(self) -> None:
        """Have the client offer a key that the server does not take."""
        for name in ("user_key", "user_key.pub"):
            (self.folder / name).unlink()
        _make_key(self.folder / "user_key")


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """One on loopback, until it is left."""
    server = SshServer(own_port(), folder)
    for name in ("host_key", "user_key"):
        _make_key(folder / name)
    (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
    (folder / "server").write_text(_SERVER.format(port=server.port, folder=folder))
    (folder / "client").write_text(_CLIENT.format(folder=folder, port=server.port))
    server.know_host()
    server.programs.mkdir()
    program = server.programs / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
    program.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in while nobody is logged in
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "server")], stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / "pid").exists():
            assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

"""Rules of the packet filter that engines leave behind: Docker's daemon all of them, Podman those of a run that was
killed. One that forwards a port to a container that is gone takes it from whatever listens there next."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

ENGINE_FOLDER = "modelport-engine-"
"""How the names of engines' folders begin."""

_BRIDGE = re.compile(r"-[io] (modelport-\d+) ")
_FORWARDED = re.compile(r"dnat name: modelport-\S+ id: ([0-9a-f]{64})\b.* -j (NETAVARK-DN-\w+)$")


def remove_left_rules() -> None:
    """Remove those of the tests' engines and containers that are gone; those of others stay. Needs root."""
    if shutil.which("iptables") is None:
        return
    for table in ("filter", "nat"):
        for rule in _iptables(table, "-S").splitlines():
            if not rule.startswith("-A "):
                continue
            bridge, forwarded = _BRIDGE.search(rule), _FORWARDED.search(rule)
            if bridge and not Path("/sys/class/net", bridge[1]).exists():
                _iptables(table, "-D", *shlex.split(rule)[1:])
            elif forwarded and not _lives(forwarded[1]):
                _iptables(table, "-D", *shlex.split(rule)[1:])
                _iptables(table, "-F", forwarded[2])
                _iptables(table, "-X", forwarded[2])


def _lives(container: str) -> bool:
    """Whether somebody watches over that container, or will in a moment: its monitor is called with its id, and what
    starts it with the folder of its engine."""
    kept = Path(tempfile.gettempdir()).glob(f"{ENGINE_FOLDER}*/root/*-containers/{container}")
    names = [container, *(folder.parents[2].name for folder in kept)]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            command = path.read_text(errors="replace")
            if any(name in command for name in names):
                return True
    return False


def _iptables(table: str, *arguments: str) -> str:
    """What it says; nothing where it fails: another process of tests may have removed the rule."""
    command = ["iptables", "--wait", "--table", table, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout

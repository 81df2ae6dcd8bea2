"""Daemons of the tests' cluster: started with a log and a file that tells their pid, and ended by it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE_S = 60
_PAUSE_S = 0.05
_POLITE_S = 3
"""How long one may take to end by itself: what it has is thrown away."""


class Programs:
    """Those whose logs and pid files are in one folder, which is named in the command of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], *, environ: Mapping[str, str] | None = None) -> None:
        """In a session of its own, so that Ctrl-C in a terminal ends the tests first, and these then."""
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [*command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environ or {})},
            )
        self._children[name] = child
        (self.folder / f"{name}.pid").write_text(str(child.pid))

    def stop(self, name: str, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, also where an earlier run of the tests started it; nothing happens where it is gone."""
        file = self.folder / f"{name}.pid"
        if not file.exists():
            return
        pid = int(file.read_text())
        if name in self._children or self._is_ours(pid):
            _signal(pid, how)
            ended = self._has_ended(name, pid)
            if not wait_until(ended, within_s=_POLITE_S):
                _signal(pid, signal.SIGKILL)
                wait_until(ended, within_s=10)
        self._children.pop(name, None)
        file.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Those that were started, the last one first."""
        files = sorted(self.folder.glob("*.pid"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        return [file.stem for file in files]

    def log(self, name: str, *, lines: int = 30) -> str:
        """The end of what it printed."""
        file = self.folder / f"{name}.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else "no log"

    def ended(self) -> list[str]:
        """Those that have ended by themselves."""
        return [name for name, child in self._children.items() if child.poll() is not None]

    def _has_ended(self, name: str, pid: int) -> Callable[[], bool]:
        child = self._children.get(name)
        return (lambda: child.poll() is not None) if child is not None else (lambda: not self._is_ours(pid))

    def _is_ours(self, pid: int) -> bool:
        """Whether the process is one of this folder: numbers are used again."""
        try:
            return str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


def wait_until(true: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

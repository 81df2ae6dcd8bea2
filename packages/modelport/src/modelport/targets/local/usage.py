"""What the processes of a service use, as /proc has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.targets.interface import Usage
from modelport_scoring.processes.status import CPU, SESSION, read_status

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class _Process:
    session: int
    cpu_s: float
    resident_bytes: int
    peak_bytes: int


def usage_of_session(session: int) -> Usage:
    """Of all processes of the session: what a supervisor has started, unless it began a session of its own."""
    processes = [process for process in _processes() if process.session == session]
    return Usage(
        cpu_s=sum(process.cpu_s for process in processes),
        memory_bytes=sum(process.resident_bytes for process in processes),
        peak_memory_bytes=sum(process.peak_bytes for process in processes),
    )


def _processes() -> Iterator[_Process]:
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                yield _read(int(folder.name))
            except (OSError, IndexError, ValueError):
                continue  # it has ended meanwhile


def _read(pid: int) -> _Process:
    status = read_status(pid)
    memory = dict.fromkeys(("VmRSS", "VmHWM"), 0)
    for line in (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in memory:
            memory[name] = int(value.split()[0]) * 1024
    ticks = sum(map(int, status[CPU]))
    return _Process(int(status[SESSION]), ticks / _TICKS_PER_S, memory["VmRSS"], memory["VmHWM"])

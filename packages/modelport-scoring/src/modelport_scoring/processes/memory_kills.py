"""What an exit status does not tell: that the kernel ended a process because memory ran out."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from modelport_scoring.failures import describe_exit

VMSTAT = Path("/proc/vmstat")
"""``oom_kill`` counts the processes that the kernel has ended so, in all control groups of the machine (Linux 4.13)."""


class MemoryKills:
    """How many there had been when a process was started."""

    def __init__(self, vmstat: Path = VMSTAT) -> None:
        self._vmstat = vmstat
        self._before = self._count()

    def describe_exit(self, returncode: int) -> str:
        """How the process ended; and where it was killed, whether the kernel has done such a thing meanwhile. Which
        processes those were, only the kernel's log tells."""
        how = describe_exit(returncode)
        if returncode != -signal.SIGKILL or self._before is None:
            return how
        now = self._count()
        if now is None or now <= self._before:
            return how
        return f"{how}; since it started, the kernel has ended processes for want of memory: dmesg tells which"

    def _count(self) -> int | None:
        """None where the system does not tell, or not now: there may be no descriptor left."""
        try:
            found = re.search(r"^oom_kill (\d+)$", self._vmstat.read_text(), re.MULTILINE)
        except OSError:
            return None
        return int(found[1]) if found else None

"""What the kernel says of a process."""

from __future__ import annotations

from pathlib import Path

GONE = (FileNotFoundError, ProcessLookupError)
"""What reading of a process raises that has ended. Any other OSError, as for want of descriptors, says nothing."""

STATE, PARENT, SESSION = 0, 1, 3
"""Where in its status they stand."""

CPU = slice(11, 15)
"""And there user and system time, its own and that of children that were waited for, in clock ticks (SC_CLK_TCK)."""


def read_status(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` behind the name, which may hold anything (proc(5)). Raises OSError."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()

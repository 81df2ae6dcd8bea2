"""What the system lets a process have."""

from __future__ import annotations

import fcntl
import os
import resource
from pathlib import Path

from modelport_worker.frames import MEMORY_SIZE

SPARE_DESCRIPTORS = 128
"""For workers, logs and the control socket; a connection must not take the last one."""

USUAL_DESCRIPTORS = 8192
"""Of a process with the default of ``limits.max_connections``, rounded up as Linux does it: they take 64 KiB."""


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may, and return how many those are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files = most if most != resource.RLIM_INFINITY else 1 << 20
    make_room_for_descriptors(min(files, USUAL_DESCRIPTORS))
    return files


def describe_short_files() -> str | None:
    """What is wrong where files may not become as large as the memory that a worker shares with the server, which
    counts as one; else None."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most == resource.RLIM_INFINITY or most >= MEMORY_SIZE:
        return None
    return (
        f"files may have {most} bytes here, and the memory that a worker shares with the server counts as one: allow "
        f"{MEMORY_SIZE} at least (ulimit -f unlimited, or LimitFSIZE of systemd)"
    )


def make_room_for_descriptors(count: int) -> None:
    """Have the system make its table of so many open files now.

    Linux doubles it whenever it is full, and a process with threads waits some 15 ms for that (``synchronize_rcu``):
    five times while thousands connect.
    """
    with Path(os.devnull).open("rb") as some:
        os.close(fcntl.fcntl(some, fcntl.F_DUPFD_CLOEXEC, count - 1))

"""What is left of a service: whose scoring server was killed, alone or together with the supervisor; or which stops.

Workers end when their link closes, but not before ``run()`` returns, which it may never do; and nobody is there any
more who would end them. Processes that scripts have started in sessions of their own (``start_new_session=True``) are
in nobody's group, and are found by whom they descend from.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from modelport_scoring.processes.status import PARENT, read_status
from modelport_scoring.service_folder import WORK
from modelport_scoring.supervision.service_lock import is_alive, supervisor_pid

SERVER = b"modelport_scoring.server"
"""The module, as the supervisor names it in the command."""
SUPERVISORS = (b"modelport_scoring", b"modelport_scoring.container")

PR_SET_CHILD_SUBREAPER = 36
"""Of Linux (linux/prctl.h)."""

LEAVE_S = 2.0
"""How long what is killed may take to end, and what it has started meanwhile: one that waits for a disk may never."""
LOOK_S = 0.01


def adopt_orphans() -> None:
    """Have whatever descends from us become our child when its parent ends, instead of process 1's. Where the system
    cannot, ``end_descendants`` finds less."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """End what descends from us, which has adopted orphans, and take leave of it. To be called once the servers have
    ended: then only what scripts have left behind does. Services that a script has deployed go on, as they outlive
    whoever deployed them."""
    until = time.monotonic() + LEAVE_S
    while (left := _descendants(os.getpid())) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(OSError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_S)
        for pid in left:
            with contextlib.suppress(ChildProcessError):  # its parent has not ended yet
                os.waitpid(pid, os.WNOHANG)


def _descendants(of: int) -> list[int]:
    """Children and theirs, but for supervisors of services and what descends from them."""
    children: dict[int, list[int]] = {}
    for pid in processes():
        with contextlib.suppress(OSError, IndexError):  # it has gone
            children.setdefault(int(read_status(pid)[PARENT]), []).append(pid)
    found, parents = list[int](), [of]
    while parents:
        own = [pid for pid in children.get(parents.pop(), ()) if not _is_supervisor(pid)]
        found += own
        parents += own
    return found


def _is_supervisor(pid: int) -> bool:
    try:
        return any(part in SUPERVISORS for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except OSError:  # it has gone; or it cannot be known, and is not ended then
        return True


def end_orphans(folder: Path) -> None:
    """End what runs in the working folders of the service, in a session whose leader has gone: workers, and what their
    scripts have started. Only for who holds the service's lock: then no scoring server of it is there."""
    mark = f"AML_APP_ROOT={folder.resolve() / WORK}/".encode()
    for pid in processes():
        with contextlib.suppress(OSError):  # it has gone, or is another user's
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if any(variable.startswith(mark) for variable in environment) and not is_alive(os.getsid(pid)):
                os.kill(pid, signal.SIGKILL)


def end_hung_servers(folder: Path) -> bool:
    """End the scoring servers of the service that neither serve nor end, since their supervisor has gone and they hang;
    for whoever does not get the service's lock. Returns whether there may have been some; not where a supervisor lives.
    """
    if supervisor_pid(folder) is not None:
        return False
    for pid in processes():
        with contextlib.suppress(OSError):  # the same
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if SERVER in command and Path(f"/proc/{pid}/cwd").readlink() == folder.resolve():
                os.kill(pid, signal.SIGKILL)
    return True


def end_left_behind(session: int) -> None:
    """End what a scoring server that died has left behind in its session, but for ourselves."""
    for pid in processes():
        with contextlib.suppress(OSError):  # the same
            if pid != os.getpid() and os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)


def processes() -> Iterator[int]:
    """The ids of all that run at the moment."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())

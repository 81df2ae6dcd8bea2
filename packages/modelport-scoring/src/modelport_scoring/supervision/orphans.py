"""What is left of a service whose scoring server was killed, alone or together with the supervisor.

Workers end when their link closes, but not before ``run()`` returns, which it may never do; and nobody is there any
more who would end them.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from modelport_scoring.service_folder import WORK
from modelport_scoring.supervision.service_lock import is_alive, supervisor_pid

SERVER = b"modelport_scoring.server"
"""The module, as the supervisor names it in the command."""


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

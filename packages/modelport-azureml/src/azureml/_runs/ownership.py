"""Who keeps a run going: a process that holds the run's lock. When it is gone, so is the lock, however it ended."""

import contextlib
import errno
import fcntl
import os
import signal
from typing import Iterator, List, Optional

OWNER = "owner.lock"


def take(folder: str) -> int:
    """Hold the lock of a new run until the returned descriptor is closed, or this process and those that inherited the
    descriptor have ended. ``sign`` says who holds it. The lock is held before it can be seen."""
    aside = os.path.join(folder, OWNER + ".new")
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.rename(aside, os.path.join(folder, OWNER))
    return descriptor


def sign(descriptor: int, pid: int) -> None:
    """Write into the lock which process holds it, or is about to."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def was_taken(folder: str) -> bool:
    """Whether the run has, or had, an owner."""
    return os.path.exists(os.path.join(folder, OWNER))


def is_owned(folder: str) -> bool:
    """Whether somebody holds the lock."""
    try:
        descriptor = os.open(os.path.join(folder, OWNER), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return True
    finally:
        os.close(descriptor)
    return False


def owner(folder: str) -> Optional[int]:
    """The process id that was signed last, whether it lives or not; None where nobody has signed."""
    try:
        with open(os.path.join(folder, OWNER), encoding="ascii") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return None


def end_left_behind(session: int, mark: str) -> None:
    """Kill what is left of the session of an owner that died: processes whose environment holds ``mark``.

    The mark tells them from those of a stranger that got the same process id later.
    """
    for pid in _session(session):
        if mark.encode("utf-8") in _environment(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _session(session: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(entry)) == session:
                    yield int(entry)


def _environment(pid: int) -> List[bytes]:
    try:
        with open("/proc/{}/environ".format(pid), "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []

"""The lock of a service's folder: held by the supervisor, and shared with its scoring server.

The scoring server inherits the descriptor, so the lock is free only when both are gone: a supervisor that is started
after another one was killed waits until that one's scoring server has let go of the port and of the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from modelport_scoring.errors import ServiceAlreadyRunning
from modelport_scoring.processes.status import GONE, STATE, read_status
from modelport_scoring.service_folder import LOCK

ORPHAN_PATIENCE_S = 6.0
"""How long the scoring server of a killed supervisor may take to go."""

PROBE_PATIENCE_S = 0.25
"""Whoever only asks whether the lock is held takes it for a moment; and its holder needs one to write its id."""

POLL_S = 0.01


def acquire(folder: Path) -> int:
    """Take the lock and write our process id into it; returns the descriptor that holds it.

    Raises ServiceAlreadyRunning.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    started = time.monotonic()
    while not try_lock(descriptor, fcntl.LOCK_EX):
        holder = read_holder(descriptor)
        lives = holder is not None and is_supervisor(holder, folder)
        patience = PROBE_PATIENCE_S if lives else ORPHAN_PATIENCE_S
        if time.monotonic() - started > patience:
            os.close(descriptor)
            raise ServiceAlreadyRunning(f"{folder}: the service is running already (process {holder})")
        time.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def supervisor_pid(folder: Path) -> int | None:
    """Process id of the living supervisor of that folder, or None. The lock decides, not the number in the file.

    Raises OSError where that cannot be known, as where this process has no descriptor left.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _ask(descriptor, folder)
    finally:
        os.close(descriptor)


def _ask(descriptor: int, folder: Path) -> int | None:
    deadline = time.monotonic() + PROBE_PATIENCE_S
    while not try_lock(descriptor, fcntl.LOCK_SH):
        holder = read_holder(descriptor)
        if holder is not None and is_supervisor(holder, folder):
            return holder
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_S)
    return None


def try_lock(descriptor: int, kind: int) -> bool:
    """Whether the lock could be taken at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_holder(descriptor: int) -> int | None:
    """The process id in the file, or None while its holder has not written it."""
    with contextlib.suppress(ValueError):
        return int(os.pread(descriptor, 32, 0))
    return None


def is_supervisor(pid: int, folder: Path) -> bool:
    """Whether the process lives and works in the folder, as its supervisor does. The number alone may be somebody
    else's by now, where a scoring server that hangs has held the lock on after its supervisor was killed."""
    if not is_alive(pid):
        return False
    try:
        return os.path.samestat(Path(f"/proc/{pid}/cwd").stat(), folder.stat())
    except PermissionError:  # another user's, of whom the system does not tell that
        return True
    except GONE:
        return False


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists and has not ended (one that nobody waited for yet has). Raises OSError where
    that cannot be known."""
    try:
        state = read_status(pid)[STATE]
    except (*GONE, IndexError):
        return False
    return state not in ("Z", "X")

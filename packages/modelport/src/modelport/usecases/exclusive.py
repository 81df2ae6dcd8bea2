"""One operation on a service at a time, over all processes of this machine."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from modelport.domain.errors import ConflictException
from modelport.usecases.context import Context


@contextlib.contextmanager
def exclusive(context: Context, name: str) -> Iterator[None]:
    """Hold the service's operation lock. Raises ConflictException (409) while another process or thread has it.

    The lock goes with the process that holds it, so a killed program never leaves a service locked.
    """
    folder = context.folder / "operations"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictException(
                f"Another operation on the service {name!r} is under way.",
                hint="Wait until it has finished, and try again.",
            ) from None
        yield

"""What is to happen when the user's script forks."""

import os
from typing import Callable

Hook = Callable[[], None]


def call_around_fork(before: Hook, *, parent: Hook, child: Hook) -> None:
    """Call the hooks around every fork that Python code makes, on either side of it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=parent, after_in_child=child)
    else:
        wrap_fork(before, parent, child)


def wrap_fork(before: Hook, parent: Hook, child: Hook) -> None:
    """Python 3.6 has no such hooks; what forks there, multiprocessing too, goes through ``os.fork``."""
    fork = os.fork

    def fork_and_call() -> int:
        before()
        try:
            process = fork()
        except OSError:
            parent()
            raise
        (parent if process else child)()
        return process

    os.fork = fork_and_call

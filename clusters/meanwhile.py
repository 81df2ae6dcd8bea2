"""What goes on in a thread of its own while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseServer

Work = Callable[[threading.Event], None]
"""It goes on until the event is set."""


@contextmanager
def meanwhile(work: Work) -> Iterator[None]:
    """It begins before the block, and has ended after it."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def served(server: BaseServer) -> Iterator[None]:
    """The server answers from before the block until after it."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()

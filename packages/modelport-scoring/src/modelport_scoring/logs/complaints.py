"""What the event loop and other libraries complain of, in the log as our own messages are: with the time, and as JSON
where that is asked for. Left alone, Python writes it to the standard error as it is, line by line."""

from __future__ import annotations

import logging

from modelport_scoring.logs.journal import say


class Complaints(logging.Handler):
    """A fault with its traceback is one message."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def take_complaints() -> None:
    """Have all be written so from now on, that are warnings at least. For a process of ours, once."""
    logging.getLogger().addHandler(Complaints(logging.WARNING))

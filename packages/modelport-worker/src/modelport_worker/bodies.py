"""A body that the script makes while it is sent."""

from typing import Any, Iterable, Iterator, Optional

from modelport_worker.failures import format_exception
from modelport_worker.streams import log

LARGEST_PIECE = 256 * 1024
"""The server gets a larger chunk in several pieces: it may have to stop one of them, not to hold the whole."""

Piece = memoryview


class ScriptFailed(Exception):
    """The script raised ``error`` while it made the body."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Body:
    """The pieces of what the script's iterator gives, none of them empty or too large.

    What the script raises is told apart from what sending raises: both can be a ConnectionError.
    """

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._pieces = pieces_of(chunks)

    def next_piece(self) -> Optional[Piece]:
        """The next piece, None at the end. Raises ScriptFailed, and SystemExit where the script leaves."""
        return next(self._pieces, None)

    def close(self) -> None:
        """Have the script end its work on it: its ``finally`` clauses run."""
        close_body(self._chunks)


def close_body(body: Any) -> None:
    """Close what has been sent, if it can be; where that fails, the answer stands, and the log says so."""
    close = getattr(body, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:
        log("The end of the body of an answer failed.\n{}".format(format_exception(error)))


def pieces_of(chunks: Iterable[Any]) -> Iterator[Piece]:
    for whole in memories(chunks):
        for start in range(0, len(whole), LARGEST_PIECE):
            yield whole[start : start + LARGEST_PIECE]


def memories(chunks: Iterable[Any]) -> Iterator[memoryview]:
    """The bytes of each chunk. What this raises, the script has raised: nothing is thrown into it at its ``yield``."""
    remaining = None
    while True:
        try:
            remaining = iter(chunks) if remaining is None else remaining
            whole = as_memory(next(remaining))
        except StopIteration:
            return
        except SystemExit:
            raise
        except BaseException as error:  # also KeyboardInterrupt, GeneratorExit and asyncio's CancelledError
            raise ScriptFailed(error)
        yield whole


def as_memory(chunk: Any) -> memoryview:
    """The bytes of one chunk. A str, which scripts write too, is sent as UTF-8."""
    if isinstance(chunk, str):
        return memoryview(chunk.encode("utf-8"))
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return memoryview(chunk).cast("B")
    raise TypeError("A part of the answer's body is {}, not str or bytes.".format(type(chunk).__name__))

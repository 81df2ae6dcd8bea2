"""A transport, an event loop and a client that exist only in memory, for one connection."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast


class Loop:
    """Runs what is to be called soon, one call at a time; time stands still."""

    def __init__(self) -> None:
        self._soon: deque[Callable[[], None]] = deque()

    def time(self) -> float:
        return 1000.0

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def call_soon(self, callback: Callable[..., None], *arguments: object, context: object = None) -> None:
        self._soon.append(lambda: callback(*arguments))

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        """The listener's sweep, which does nothing here."""
        return asyncio.TimerHandle(delay, callback, arguments, self)  # type: ignore[arg-type]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's handles tell their loop."""

    def get_debug(self) -> bool:
        return False

    def run_one(self) -> bool:
        """Whether there was anything to call."""
        if not self._soon:
            return False
        self._soon.popleft()()
        return True


class TaskLoop(Loop):
    """Runs tasks as well."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[asyncio.Task[Any]] = []

    def create_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=cast(asyncio.AbstractEventLoop, self))
        self.tasks.append(task)
        return task


class Client:
    """Now and then it does not read, so that the transport's buffer is full."""

    def __init__(self, connection: asyncio.Protocol, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance
        self.is_full = False

    def got_more(self) -> None:
        if not self.is_full and self._chance.random() < 0.1:
            self.is_full = True
            self._connection.pause_writing()

    def read_on(self) -> bool:
        """Read all that was sent. Whether there was anything unread."""
        if not self.is_full:
            return False
        self.is_full = False
        self._connection.resume_writing()
        return True


class Wire(asyncio.Transport):
    """Keeps what is written. ``ended``: nothing more can be."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.written = bytearray()
        self.reading = True
        self.ended = False

    def write(self, data: Any) -> None:
        assert not self.ended, f"written behind the end: {bytes(data)!r}"
        self.written += data
        self.client.got_more()

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Full is when the client says so."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        """There is no socket behind it."""
        return default

    def get_write_buffer_size(self) -> int:
        return 1 if self.client.is_full else 0

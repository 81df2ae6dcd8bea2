"""A socket in the service's folder where one line is asked and one line answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from modelport_scoring.control.messages import MOST_LINE_BYTES
from modelport_scoring.logs.journal import say

PATIENCE_S = 10.0
"""Who connects says what it wants within this time."""

BACKLOG = 1024
"""Who may wait to be heard. A loop that hangs accepts nobody, and who has asked it and gone again waits on: were the
queue full, nobody could learn by it which process to end."""

LineAnswer = tuple[bytes, Callable[[], None] | None]
"""A line without its end, and what is to be done once it has gone, if anything."""


class LineSocket:
    """Listens in the current directory, which is the service's folder."""

    def __init__(
        self,
        name: str,
        answer: Callable[[bytes], Awaitable[LineAnswer]],
        *,
        reopened: Callable[[bool], Awaitable[None]] | None = None,
    ) -> None:
        """``answer`` never raises. ``reopened``: what is to be done once it listens again, after nobody was heard; it
        is told whether that was for long, since the first try had failed."""
        self._name = name
        self._answer = answer
        self._reopened = reopened
        self._server: asyncio.Server | None = None
        self._file: os.stat_result | None = None
        """Of the socket, as it was made."""
        self._reopening: asyncio.Task[None] | None = None
        self._has_complained = False
        """Since it was there last."""

    async def open(self) -> None:
        """Listen, readable and writable by the owner only, in the place of whoever did before. Raises OSError."""
        aside = Path(f".{self._name}")
        aside.unlink(missing_ok=True)
        with contextlib.ExitStack() as opened:
            channel = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            channel.bind(str(aside))
            aside.chmod(0o600)  # nobody can connect before it listens
            server = await asyncio.start_unix_server(self._serve, sock=channel, limit=MOST_LINE_BYTES, backlog=BACKLOG)
            opened.pop_all()
        try:
            file = aside.stat()
            aside.rename(self._name)
        except OSError:  # a folder is there, for one
            server.close()
            aside.unlink(missing_ok=True)
            raise
        self._server, self._file = server, file

    def look(self) -> None:
        """Listen again where somebody has removed the socket's file, or put another one in its place: nobody could give
        orders any more. To be called about once a second, between ``open`` and ``close``."""
        if self._server is None or (self._reopening is not None and not self._reopening.done()):
            return
        with contextlib.suppress(OSError):
            if self._file is not None and os.path.samestat(self._file, Path(self._name).stat()):
                return
        self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    def close(self) -> None:
        """Listen no more."""
        if self._reopening is not None:
            self._reopening.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(OSError):  # a folder in its place: whose end this is has more to do
            Path(self._name).unlink(missing_ok=True)

    async def _reopen(self) -> None:
        unreachable = self._server
        try:
            await self.open()
        except OSError as error:  # the next look tries again
            if not self._has_complained:
                self._has_complained = True
                say(f"{self._name} has been removed, and cannot be made anew for now: {error}")
            return
        was_long, self._has_complained = self._has_complained, False
        if unreachable is not None:
            unreachable.close()
        say(f"{self._name} had been removed; it is there again")
        if self._reopened is not None:
            with contextlib.suppress(OSError):
                await self._reopened(was_long)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        afterwards = None
        try:
            line = await heard(reader)
            if line is None:
                return
            answer, afterwards = await self._answer(line)
            with contextlib.suppress(OSError):  # whoever asked has gone: what it asked for is done all the same
                writer.write(answer + b"\n")
                await writer.drain()
        except asyncio.CancelledError:
            pass  # the loop ends, and so does the connection: Python 3.11 would log that, with a traceback
        finally:
            writer.close()
            if afterwards is not None:
                afterwards()


async def heard(reader: asyncio.StreamReader) -> bytes | None:
    """The line; None where whoever has connected has gone, says nothing, or more than a line may have."""
    try:
        return await asyncio.wait_for(reader.readline(), PATIENCE_S)
    except (OSError, TimeoutError, ValueError):
        return None

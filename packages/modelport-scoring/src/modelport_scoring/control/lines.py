"""A socket in the service's folder where one line is asked and one line answered."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from modelport_scoring.control.messages import MOST_LINE_BYTES

PATIENCE_S = 10.0
"""Who connects says what it wants within this time."""

LineAnswer = tuple[bytes, Callable[[], None] | None]
"""A line without its end, and what is to be done once it has gone, if anything."""


class LineSocket:
    """Listens in the current directory, which is the service's folder."""

    def __init__(self, name: str, answer: Callable[[bytes], Awaitable[LineAnswer]]) -> None:
        """``answer`` never raises."""
        self._name = name
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, readable and writable by the owner only. Raises OSError."""
        Path(self._name).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._name, limit=MOST_LINE_BYTES)
        finally:
            os.umask(mask)

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        Path(self._name).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        afterwards = None
        try:
            line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
            answer, afterwards = await self._answer(line)
            writer.write(answer + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked has gone, or said nothing: what it asked for goes on
        finally:
            writer.close()
            if afterwards is not None:
                afterwards()

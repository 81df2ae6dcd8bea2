"""The server's side of the control socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from modelport_scoring.control.messages import MOST_LINE_BYTES, Answer, Command, Status
from modelport_scoring.errors import RequestRefused, SwitchFailed, SwitchInProgress
from modelport_scoring.service_folder import CONTROL
from modelport_scoring.settings import Changes, RevisionSettings, RevisionSize
from modelport_scoring.traffic.settings import Traffic
from modelport_scoring.verbs import Verbs

VERBS = ("status", "switch", "host", "release", "promote", "split", "scale", "configure", "stop")

PATIENCE_S = 10.0
"""Who connects says what it wants within this time."""


class ControlEndpoint:
    """Listens in the current directory, which is the service's folder."""

    def __init__(self, verbs: Verbs, *, status: Callable[[], Status], stop: Callable[[], None]) -> None:
        self._verbs = verbs
        self._status = status
        self._stop = stop
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, readable and writable by the owner only. Raises OSError."""
        Path(CONTROL).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, CONTROL, limit=MOST_LINE_BYTES)
        finally:
            os.umask(mask)

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        Path(CONTROL).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stop_asked = False
        try:
            line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
            answer, stop_asked = await self._answer(line)
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked has gone, or said nothing: what it asked for goes on
        finally:
            writer.close()
            if stop_asked:
                self._stop()

    async def _answer(self, line: bytes) -> tuple[Status | Answer, bool]:
        try:
            command = msgspec.json.decode(line, type=Command)
            if command.do == "status":
                return self._status(), False
            return await self._do(command), command.do == "stop"
        except (msgspec.MsgspecError, RequestRefused) as error:
            return Answer(ok=False, message=str(error)), False
        except SwitchInProgress as error:
            return Answer(ok=False, busy=True, message=str(error)), False
        except SwitchFailed as error:
            return Answer(ok=False, failure=error.failure), False

    async def _do(self, command: Command) -> Answer:
        verbs = self._verbs
        match command.do:
            case "switch":
                changes = command.settings or Changes()
                await verbs.switch(whole(command), replacing=command.replacing, changes=changes)
            case "host":
                await verbs.host(whole(command))
            case "release":
                await verbs.release(number(command))
            case "promote":
                verbs.promote(number(command))
            case "split":
                verbs.split(traffic(command))
            case "scale":
                verbs.scale(number(command), command.size or RevisionSize())
            case "configure":
                await verbs.configure(command.settings or Changes())
            case "stop":
                pass  # when the answer has gone
            case _:
                raise RequestRefused(f"'{command.do}' is none of {', '.join(VERBS)}")
        revision = command.revision
        return Answer(ok=True, revision=revision.number if isinstance(revision, RevisionSettings) else revision)


def whole(command: Command) -> RevisionSettings:
    """The revision that the command describes. Raises RequestRefused."""
    if not isinstance(command.revision, RevisionSettings):
        raise RequestRefused(f"'{command.do}' needs a revision")
    return command.revision


def number(command: Command) -> int:
    """The revision that the command names. Raises RequestRefused."""
    if not isinstance(command.revision, int):
        raise RequestRefused(f"'{command.do}' needs the number of a revision")
    return command.revision


def traffic(command: Command) -> Traffic:
    """What the command asks for. Raises RequestRefused."""
    if command.traffic is None:
        raise RequestRefused(f"'{command.do}' needs traffic")
    return command.traffic

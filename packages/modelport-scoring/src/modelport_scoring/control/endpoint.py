"""The server's side of the control socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from modelport_scoring.control.lines import LineAnswer, LineSocket
from modelport_scoring.control.messages import Answer, Command
from modelport_scoring.control.verbs import Verbs
from modelport_scoring.errors import RequestRefused, SwitchFailed, SwitchInProgress
from modelport_scoring.service_folder import CONTROL
from modelport_scoring.settings.service import Changes, RevisionSettings, RevisionSize, ServiceSettings
from modelport_scoring.settings.traffic import Traffic
from modelport_scoring.status import Status

VERBS = ("status", "switch", "host", "release", "promote", "split", "scale", "configure", "apply", "stop")


class ControlEndpoint:
    """Listens in the current directory, which is the service's folder."""

    def __init__(
        self,
        verbs: Verbs,
        *,
        status: Callable[[], Awaitable[Status]],
        stop: Callable[[], None],
    ) -> None:
        self._verbs = verbs
        self._status = status
        self._stop = stop
        self._socket = LineSocket(CONTROL, self._answer_line)

    async def open(self) -> None:
        """Listen, readable and writable by the owner only. Raises OSError."""
        await self._socket.open()

    def look(self) -> None:
        """Called about once a second."""
        self._socket.look()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    async def _answer_line(self, line: bytes) -> LineAnswer:
        answer, stop_asked = await self._answer(line)
        return msgspec.json.encode(answer), self._stop if stop_asked else None

    async def _answer(self, line: bytes) -> tuple[Status | Answer, bool]:
        try:
            command = read_command(line)
            if command.do == "status":
                return await self._status(), False
            return await self._do(command), command.do == "stop"
        except RequestRefused as error:
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
                await verbs.promote(number(command))
            case "split":
                await verbs.split(traffic(command))
            case "scale":
                await verbs.scale(number(command), command.size or RevisionSize())
            case "configure":
                await verbs.configure(command.settings or Changes())
            case "apply":
                return Answer(ok=True, kept=await verbs.apply(all_settings(command)))
            case "stop":
                pass  # when the answer has gone
            case _:
                raise RequestRefused(f"'{command.do}' is none of {', '.join(VERBS)}")
        revision = command.revision
        return Answer(ok=True, revision=revision.number if isinstance(revision, RevisionSettings) else revision)


def read_command(line: bytes) -> Command:
    """Raises RequestRefused for a line that is none."""
    try:
        return msgspec.json.decode(line, type=Command)
    except (ValueError, RecursionError) as error:  # the former also of what is no UTF-8
        raise RequestRefused(str(error)) from error


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


def all_settings(command: Command) -> ServiceSettings:
    """What the command asks for. Raises RequestRefused."""
    if command.whole is None:
        raise RequestRefused(f"'{command.do}' needs the whole of the settings")
    return command.whole


def traffic(command: Command) -> Traffic:
    """What the command asks for. Raises RequestRefused."""
    if command.traffic is None:
        raise RequestRefused(f"'{command.do}' needs traffic")
    return command.traffic

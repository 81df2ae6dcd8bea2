"""How the server process that leads speaks with the others of its service (docs/adr/0008-several-server-processes.md).

Each of them listens on a socket of its own in the service's folder. The first one alone is asked by the control plane,
and writes ``service.json``; it has the others prepare what a verb needs, and, once the file is written, adopt it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from modelport_scoring.control.lines import LineAnswer, LineSocket
from modelport_scoring.control.messages import MOST_LINE_BYTES
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.failures import Failure, GivenUp, StartFailed
from modelport_scoring.logs.journal import say
from modelport_scoring.logs.own_faults import report_fault
from modelport_scoring.service import Service
from modelport_scoring.service_folder import peer_socket
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.status import Status

PATIENCE_S = 3.0
"""A loop that does not answer for so long hangs."""

BACK_WITHIN_S = 2.0
"""One whose socket's file was removed listens again by then; unless it has ended, and its successor reads what is
written."""
POLL_S = 0.1

GONE = (ConnectionError, FileNotFoundError)
"""Nobody listens, or who did has ended. Any other OSError is our own want, and says nothing of the other side."""

CREDENTIALS = struct.Struct("iII")
"""What SO_PEERCRED tells (unix(7)): process, user, group."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the leader asks for; ``PeerEndpoint`` says what it may ``do``, and what that is about."""

    do: str
    settings: ServiceSettings | None = None
    revision: int | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer; ``failure``: why not."""

    failure: Failure | None = None
    status: Status | None = None


class PeerEndpoint:
    """The side of a server process that follows."""

    def __init__(
        self,
        service: Service,
        *,
        process: int,
        status: Callable[[], Status],
        give_up: GiveUp,
        reopened: Callable[[bool], Awaitable[None]],
    ) -> None:
        """``give_up``: have this process end, and another one begin with what the file says. ``reopened``: what is to
        be done once it can be told something again, and was away: so long that others take it for ended, or not."""
        self._service = service
        self._status = status
        self._give_up = give_up
        self._socket = LineSocket(peer_socket(process), self._answer, reopened=reopened)
        self._told = self._in_force = 0
        """How often settings came, and which of them are in force, counted from 1."""

    async def open(self) -> None:
        """Listen. Raises OSError."""
        await self._socket.open()

    def look(self) -> None:
        """Called about once a second."""
        self._socket.look()

    def close(self) -> None:
        self._socket.close()

    async def settle(self, settings: ServiceSettings) -> None:
        """Have these in force, whatever was under way when their writer died."""
        turn = self._next_turn()
        await self._discard_but_for(settings)
        await self._adopt(settings, turn)

    def _next_turn(self) -> int:
        self._told += 1
        return self._told

    async def _adopt(self, settings: ServiceSettings, turn: int) -> None:
        """Have these in force. They were prepared, unless the process that had done so has died meanwhile: to bring up
        what they need takes its time then, and later ones, which need less, may be in force before. Those stay.

        Whatever keeps them from being in force, a fault of ours too: this process must not go on with those before."""
        try:
            await self._prepare_for_good(settings)
            if turn > self._in_force:
                self._service.adopt(settings)
                self._in_force = turn
        except Exception as error:
            if not isinstance(error, StartFailed | SettingsInvalid):
                report_fault("settings could not be put in force", error)
            if turn > self._in_force:
                reason = error.failure.message if isinstance(error, StartFailed) else str(error) or type(error).__name__
                self._give_up(f"what the settings ask for cannot be had here: {reason}")
        if turn < self._in_force:
            await self._discard_but_for(self._service.settings)

    async def _prepare_for_good(self, settings: ServiceSettings) -> None:
        """Raises StartFailed. That a verb fails, whose preparations are given up, is none of our business."""
        while True:
            with suppress(GivenUp):
                await self._service.hosting.prepare(settings)
                return

    async def _discard_but_for(self, settings: ServiceSettings) -> None:
        """End what is prepared, unless it is what these settings need."""
        if not self._service.hosting.wants(settings):
            await self._service.hosting.discard()

    async def _answer(self, line: bytes) -> LineAnswer:
        try:
            order = msgspec.json.decode(line, type=Order)
            done = await self._do(order)
        except StartFailed as failed:
            done = Done(failure=failed.failure)
        except msgspec.MsgspecError as error:
            done = Done(failure=Failure(phase="start", message=f"an order that cannot be read: {error}"))
        except Exception as error:  # no answer at all would be taken for our end
            report_fault("an order could not be carried out", error)
            done = Done(failure=Failure(phase="start", type=type(error).__name__, message=str(error)))
        return msgspec.json.encode(done), None

    async def _do(self, order: Order) -> Done:
        """Raises StartFailed, and msgspec.ValidationError for what is no order."""
        hosting = self._service.hosting
        match order:
            case Order(do="status"):
                return Done(status=self._status())
            case Order(do="prepare", settings=ServiceSettings() as settings):
                await hosting.prepare(settings)
            case Order(do="adopt", settings=ServiceSettings() as settings):
                await self._adopt(settings, self._next_turn())
            case Order(do="settle", settings=ServiceSettings() as settings):
                await self.settle(settings)
            case Order(do="discard"):
                await hosting.discard()
            case Order(do="ended", revision=int() as revision):
                await hosting.ended(revision)
            case _:
                raise msgspec.ValidationError(f"'{order.do}' is none, or lacks what it is about")
        return Done()


GiveUp = Callable[[str], None]


class Peer:
    """One that follows, seen by the one that leads."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def prepare(self, settings: ServiceSettings) -> None:
        """Have it bring up what these settings need. Raises StartFailed."""
        try:
            done = await self._ask(Order(do="prepare", settings=settings))
        except GONE as error:
            message = f"scoring server {self._process} ended meanwhile; another one is started"
            raise StartFailed(Failure(phase="start", message=message)) from error
        except OSError as error:
            message = f"scoring server {self._process} cannot be told: {error.strerror or error}"
            raise StartFailed(Failure(phase="start", type=type(error).__name__, message=message)) from error
        if done.failure is not None:
            raise StartFailed(done.failure)

    async def adopt(self, latest: Callable[[], ServiceSettings], *, do: str = "adopt") -> None:
        """Have it work by the settings of the moment; one that is away reads them when it begins. So does what follows
        one that does not understand them, of an earlier version for example: it must not go on with those before."""
        async with self._turn:
            done = await self._ask_until_heard(lambda: Order(do=do, settings=latest()))
            if done is not None and done.failure is not None:  # None: it is being started, and will read them
                with suppress(OSError):
                    self._end(f"does not take over the settings ({done.failure.message})")

    async def _wait_until_heard(self) -> None:
        """Give it the time to listen again, where it goes on but cannot be told anything."""
        until = asyncio.get_running_loop().time() + BACK_WITHIN_S
        while not Path(peer_socket(self._process)).exists() and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(POLL_S)

    async def ask_in_time(self, order: Order) -> Done | None:
        """The answer; None where it has none in time."""
        try:
            return await asyncio.wait_for(self._ask(order), PATIENCE_S)
        except (OSError, TimeoutError):
            return None

    async def watch(self) -> None:
        """End it where its loop hangs. That it is gone, or that we have no descriptor to ask it with, says nothing of
        that: it may be there, and we may have one, by the time that we end it."""
        try:
            await asyncio.wait_for(self._ask(Order(do="status")), PATIENCE_S)
        except TimeoutError:  # an OSError, too
            with suppress(OSError):
                self._end("does not answer")
        except OSError:
            pass

    async def tell(self, order: Order) -> None:
        """Have it do that; nothing happens where it is gone. One that is only away for a moment would keep what it has
        prepared: the settings, which it reads when it listens again, may be those before."""
        await self._ask_until_heard(lambda: order)

    def _end(self, why: str) -> None:
        """Another one is started in its place. Raises OSError where it is gone."""
        end_listener(peer_socket(self._process), why=f"scoring server {self._process} {why}")

    async def _ask_until_heard(self, order: Callable[[], Order]) -> Done | None:
        """The answer, once it listens; None where it is gone. Where we cannot ask, as for want of a descriptor,
        we do as soon as we can: else it would go on with what nobody else has any more."""
        is_said = False
        while True:
            await self._wait_until_heard()
            try:
                return await self._ask(order())
            except GONE:
                return None
            except OSError as error:
                if not is_said:
                    say(f"scoring server {self._process} cannot be told what to do yet: {error.strerror or error}")
                is_said = True
                await asyncio.sleep(POLL_S)

    async def _ask(self, order: Order) -> Done:
        """Raises OSError where it is gone, or goes before it has answered."""
        reader, writer = await asyncio.open_unix_connection(peer_socket(self._process), limit=MOST_LINE_BYTES)
        try:
            writer.write(msgspec.json.encode(order) + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        try:
            return msgspec.json.decode(line, type=Done)
        except msgspec.MsgspecError as error:
            raise ConnectionResetError("it closed without an answer") from error


class Peers:
    """All that follow; none where the service has one process."""

    def __init__(self, processes: int) -> None:
        self._all: Sequence[Peer] = [Peer(process) for process in range(1, processes)]
        self._settled = asyncio.Event()
        """What an earlier leader had under way is over: until then, new workers would come up in the working folders of
        those that it had prepared, and be given up with them."""

    def prepare(self, settings: ServiceSettings) -> Iterable[Awaitable[None]]:
        """Have each bring up what these settings need, once all have settled. Each raises StartFailed."""
        return [self._watching(peer, self._prepare(peer, settings)) for peer in self._all]

    async def _prepare(self, peer: Peer, settings: ServiceSettings) -> None:
        await self._settled.wait()
        await peer.prepare(settings)

    async def discard(self) -> None:
        """Have all end what they have prepared."""
        await asyncio.gather(*(self._watching(peer, peer.tell(Order(do="discard"))) for peer in self._all))

    async def adopt(self, latest: Callable[[], ServiceSettings]) -> None:
        """Have all work by the settings of the moment; return when they do."""
        await asyncio.gather(*(self._watching(peer, peer.adopt(latest)) for peer in self._all))

    async def settle(self, latest: Callable[[], ServiceSettings]) -> None:
        """Have all that run end what was under way, and work by the settings of the moment."""
        try:
            await asyncio.gather(*(self._watching(peer, peer.adopt(latest, do="settle")) for peer in self._all))
        finally:  # a fault of ours here must not keep verbs waiting for ever
            self._settled.set()

    async def ended(self, revision: int) -> None:
        """Wait until none has anything left of that revision."""
        order = Order(do="ended", revision=revision)
        await asyncio.gather(*(self._watching(peer, peer.tell(order)) for peer in self._all))

    async def statuses(self) -> list[Status | None]:
        """Of each, None where it does not answer."""
        answers = await asyncio.gather(*(peer.ask_in_time(Order(do="status")) for peer in self._all))
        return [None if answer is None else answer.status for answer in answers]

    async def _watching(self, peer: Peer, work: Coroutine[object, object, None]) -> None:
        """Wait for what the peer does, however long that takes, but not for one whose loop hangs."""
        working = asyncio.ensure_future(work)
        while not (await asyncio.wait([working], timeout=PATIENCE_S))[0]:
            await peer.watch()
        working.result()


def end_listener(path: str, *, why: str) -> None:
    """End the process that listens there. Raises OSError where nobody does, or where too many wait to be heard."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.setblocking(False)  # else we would hang with one that hangs, while its queue is full
        channel.connect(path)
        pid, _, _ = CREDENTIALS.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    say(f"{why}; process {pid} is ended, and another one started")
    os.kill(pid, signal.SIGKILL)

"""Several server processes of one service: real are the service in each, and what the leader and the followers tell
each other. What is between them, the supervisor's part and their workers are made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import math
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fuzz.hosted_service import LoopWithThreads, NamedProcess, NamedSource, World
from modelport_scoring.control import endpoint, leading, lines, peers
from modelport_scoring.control.leading import Follower, Leader
from modelport_scoring.control.lines import LineSocket
from modelport_scoring.service import Service
from modelport_scoring.service_folder import peer_socket
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.settings.share import Share
from modelport_scoring.status import Status
from modelport_scoring.workers.launch import Launch

STARTS_AFTER_S = 0.3
"""The supervisor has another process in the place of one that has ended; what that one had written is read by then."""

LISTENS_AFTER_S = (0.0, 0.0, 0.05, 0.6)
"""It has read the settings by then."""

COMES_UP_AFTER_S = (0.01, 0.2, 1.5)
"""A worker."""

CROSSES_AFTER_S = (0.0, 0.0, 0.001, 0.05)
"""What is written to another process."""

APART_S = 4.0
"""Who removes sockets does so once in a while: who looks for one sees it between two times."""

OWNER: ContextVar[Server | None] = ContextVar("OWNER", default=None)
"""Of what happens now: the process in which it does, None for the world around them."""


class LoopOfSeveral(LoopWithThreads):
    """Runs what happens in several processes: nothing does in one that is dead, and only later in one that hangs."""

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        return super().call_soon(self._in_process(callback, context), *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        return super().call_at(when, self._in_process(callback, context), *args, context=context)

    def _in_process(self, callback: Callable[..., Any], context: Context) -> Callable[..., Any]:
        owner = context.get(OWNER, None)
        if owner is None:
            return callback

        def run(*args: Any) -> None:
            if owner.hangs:
                owner.held_back.append((callback, args, copy_context()))
            elif owner.is_alive:
                callback(*args)

        return run


class Writer:
    """One side's end of a connection: what it writes arrives at the other side later."""

    def __init__(self, arrives: Callable[[bytes], None]) -> None:
        self._arrives = arrives
        self._is_closed = False

    def write(self, data: bytes) -> None:
        self._arrives(data)

    async def drain(self) -> None: ...

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._arrives(b"")


class Connection:
    """From the process that leads to one that follows."""

    def __init__(self, cluster: Cluster, asking: Server, asked: Server) -> None:
        self._cluster = cluster
        self.sides = asking, asked
        self._readers = [asyncio.StreamReader(loop=cluster.loop), asyncio.StreamReader(loop=cluster.loop)]
        self._last = [0.0, 0.0]
        """When what was written last arrives at each."""
        self.reader, self.writer = self._readers[0], Writer(lambda data: self._send(1, data))
        answering: Any = Writer(lambda data: self._send(0, data))
        assert asked.socket is not None
        asked.do(asked.socket._serve(self._readers[1], answering))

    def _send(self, side: int, data: bytes) -> None:
        """In pieces, in order; nothing is the end."""
        cluster, writes = self._cluster, self.sides[1 - side]
        cut = cluster.chance.randrange(len(data)) if data else 0
        for piece in (data[:cut], data[cut:]) if cut else (data,):
            after_s = cluster.chance.choice(CROSSES_AFTER_S)
            self._last[side] = when = max(self._last[side] + 1e-6, cluster.loop.time() + after_s)
            cluster.later(when - cluster.loop.time(), self._arrive, side, piece, writes)

    def _arrive(self, side: int, data: bytes, writes: Server) -> None:
        """What a process had not yet given to the system when it was killed is lost, and all after it."""
        reader, chance = self._readers[side], self._cluster.chance
        if reader._eof or reader.exception() is not None:  # type: ignore[attr-defined]
            return
        if data and (writes.is_alive or chance.random() < 0.5):
            reader.feed_data(data)
        elif writes.is_alive or chance.random() < 0.5:
            reader.feed_eof()
        else:  # it had not read all
            reader.set_exception(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def lose(self, dead: Server) -> None:
        """One side has been killed."""
        self._send(1 - self.sides.index(dead), b"")


class Socket(LineSocket):
    """That a process listens to."""

    async def open(self) -> None:
        server = running()
        if server.cannot_listen:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        server.socket, server.is_listed = self, True
        server.cluster.socket_files.add(server.process)
        self._server = self  # type: ignore[assignment]

    def look(self) -> None:
        if not running().is_listed and (self._reopening is None or self._reopening.done()):
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    def close(self) -> None: ...


class Source(NamedSource):
    """Starts workers that come up by themselves, unless all are held up."""

    def __init__(self, server: Server, launch: Launch) -> None:
        super().__init__(launch, server.made, server.given, server.loop)
        self._server = server

    async def start(self) -> NamedProcess:
        process = await super().start()
        self._server.cluster.later(self._server.chance.choice(COMES_UP_AFTER_S), self._server.let_come_up, process)
        return process


class Server(World):
    """One server process. It is a world of its own, but for the settings on the disk, time, and chance."""

    def __init__(self, cluster: Cluster, process: int) -> None:
        assert cluster.disk.written is not None
        super().__init__(cluster.disk.written, cluster.chance, known=set(), noted=set())
        self.loop.close()
        self.loop = cluster.loop
        self.disk = cluster.disk
        self.cluster = cluster
        self.process = process
        self.is_alive = True
        self.hangs = self.has_begun = self.is_listed = self.cannot_listen = False
        self.settled_at = math.inf
        self.troubled_until = 0.0
        """Since then it can be told whatever comes."""
        self.is_led = False
        """By one leader since it has settled, which could tell it all."""
        self.held_back: list[tuple[Callable[..., Any], tuple[Any, ...], Context]] = []
        self.socket: Socket | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.place: Leader | Follower
        self.folder = Path("/dev/null/none")
        self._context = cluster.outside.copy()
        self._context.run(OWNER.set, self)
        self.do(self._run())

    @property
    def has_settled(self) -> bool:
        return self.settled_at < math.inf

    def could_be_told_since(self, moment: float) -> bool:
        return self.is_alive and self.settled_at <= moment and self.troubled_until < moment

    def do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Within this process."""
        task: asyncio.Task[Any] = self.loop.create_task(work, context=self._context.copy())
        self.tasks.append(task)
        return task

    async def _run(self) -> None:
        share = Share(process=self.process, processes=self.cluster.processes)
        self.folder = Path(f"/dev/null/{len(self.cluster.all)}")
        self.service = Service(self._settings, folder=self.folder, loop=self.loop, telemetry=self.counts, share=share)  # type: ignore[arg-type]
        self.place = (Follower if self.process else Leader)(self)
        await asyncio.sleep(self.chance.choice(LISTENS_AFTER_S))
        await self.place.open()
        self.has_begun = True
        self.do(self.service.start())
        self.do(self._settle())
        while True:
            await asyncio.sleep(1.0)
            self.place.look()

    async def _settle(self) -> None:
        begun = self.loop.time()
        await self.place.settle(port=self._settings.port)
        self.settled_at = self.loop.time()
        self.is_led = self.cluster.now[0].has_settled
        if not self.process:
            self.cluster.leads(begun)

    @property
    def is_busy(self) -> bool:
        return isinstance(self.place, Leader) and self.place._verbs.is_busy

    def status(self, *, switching: bool = False) -> Status:
        return self.service.status(pid=1, supervisor_pid=1, started_at="", switching=switching)

    def let_come_up(self, process: NamedProcess) -> None:
        """Unless workers are held up: then it does with the others."""
        if self.cluster.workers_wait:
            self.cluster.waiting.append((self, process))
        elif self.is_alive:
            self.loop.call_soon(self._come_up, process, context=self._context.copy())

    def _come_up(self, process: NamedProcess) -> None:
        if process.is_cut_off or process.exit is not None:
            return
        if process.link is None:  # the service has not connected with it yet
            self.cluster.later(0.1, self.let_come_up, process)
        else:
            process.become_ready(fails=(self.process, process.number) in self.cluster.bad)

    def give_up(self, why: str) -> None:
        assert not self.is_led, f"a verb is in force that process {self.process} cannot have: {why}"
        self.cluster.socket_files.discard(self.process)
        self.end()

    def end(self) -> None:
        """As by SIGKILL."""
        if not self.is_alive:
            return
        self.is_alive = self.hangs = False
        for process in self.living:
            process.exit, process.is_cut_off = "was killed", True
        self.disk.folders -= {path for path in self.disk.folders if path.is_relative_to(self.folder)}
        for connection in self.cluster.connections:
            if self in connection.sides:
                connection.lose(self)
        self.cluster.later(STARTS_AFTER_S + self.chance.random(), self.cluster.start, self.process)

    def hang(self) -> None:
        self.hangs, self.troubled_until, self.is_led = True, math.inf, False

    def go_on(self) -> None:
        """Hang no more."""
        self.hangs, held_back = False, self.held_back
        self.held_back = []
        for callback, args, context in held_back:
            self.loop.call_soon(callback, *args, context=context)
        self._may_be_told()

    def let_listen(self, may_listen: bool) -> None:
        """Whether it could make its socket anew."""
        self.cannot_listen = not may_listen
        if may_listen:
            self._may_be_told()
        else:
            self.troubled_until, self.is_led = math.inf, False

    def _may_be_told(self) -> None:
        """It sees that, and what it has missed, in a moment."""
        if not (self.hangs or self.cannot_listen):
            self.troubled_until = self.loop.time() + APART_S


class Cluster(World):
    """All processes of a service, and what is between them."""

    def __init__(self, settings: ServiceSettings, chance: random.Random) -> None:
        super().__init__(settings, chance, known=set(), noted=set())
        self.loop.close()
        self.loop: LoopOfSeveral = LoopOfSeveral()
        self.loop.set_task_factory(make_task)
        self.outside = copy_context()
        self.processes = settings.server_processes
        self.all: list[Server] = []
        self.now: dict[int, Server] = {}
        self.connections: list[Connection] = []
        self.socket_files: set[int] = set()
        """Of which processes: they stay when who listened is killed."""
        self.bad: set[tuple[int, int]] = set()
        """Processes, and revisions whose workers do not come up there."""
        self.workers_wait = False
        self.waiting: list[tuple[Server, NamedProcess]] = []
        self.has_descriptors = True
        self.leads: Callable[[float], None] = lambda _: None
        """Called once another one leads, with the moment in which it began to see to that."""
        self.disk.is_used = lambda path: any(each.folder == path for one in self.all for each in one.living)

    @property
    def leader(self) -> Server:
        return self.now[0]

    @property
    def followers(self) -> list[Server]:
        return [server for process, server in self.now.items() if process]

    def later(self, after_s: float, what: Callable[..., Any], *args: Any) -> None:
        """Something happens between the processes."""
        self.outside.copy().run(self.loop.call_later, after_s, what, *args)

    def start(self, process: int) -> None:
        self.now[process] = server = Server(self, process)
        self.all.append(server)

    def let_workers_come_up(self, may_come_up: bool) -> None:
        self.workers_wait, waiting = not may_come_up, self.waiting
        self.waiting = []
        for server, process in waiting:
            server.let_come_up(process)

    def follower(self, path: str) -> Server:
        """Raises OSError where it cannot be reached."""
        if not self.has_descriptors:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        process = PROCESSES[path]
        if process not in self.socket_files:
            raise FileNotFoundError
        server = self.now[process]
        if not server.is_alive or not server.is_listed:
            raise ConnectionRefusedError
        return server

    async def connect(self, path: str, *, limit: int) -> tuple[asyncio.StreamReader, Writer]:
        assert limit
        self.connections.append(made := Connection(self, running(), self.follower(path)))
        return made.reader, made.writer

    def end_listener(self, path: str, *, why: str) -> None:
        server = self.follower(path)
        has_hung = server.hangs or server.troubled_until > self.loop.time()
        assert has_hung or "does not answer" not in why, f"{why}, and does not hang"
        server.end()

    def file(self, path: str) -> Any:
        """Of a process's socket."""
        return SimpleNamespace(exists=lambda: PROCESSES[path] in self.socket_files)

    def _make_source(self, launch: Launch, **_: object) -> NamedSource:
        return Source(running(), launch)

    def _make_shadow(self, *args: Any, **others: Any) -> Any:
        return World._make_shadow(running(), *args, **others)

    def _make_pool(self, *args: Any, **others: Any) -> Any:
        return World._make_pool(running(), *args, **others)

    @contextmanager
    def patched(self) -> Iterator[None]:
        with super().patched(), ExitStack() as patches:
            for module, name, value in (
                (asyncio, "open_unix_connection", self.connect),
                (peers, "end_listener", self.end_listener),
                (peers, "Path", self.file),
                (peers, "LineSocket", Socket),
                (endpoint, "LineSocket", Socket),
                (peers, "say", lambda _: None),
                (lines, "say", lambda _: None),
                (leading, "settings_of_moment", lambda *_, **__: self.disk.written),
            ):
                patches.enter_context(patch.object(module, name, value))
            yield


PROCESSES = {peer_socket(process): process for process in range(1, 4)}


def running() -> Server:
    """The process in which this happens."""
    server = OWNER.get()
    assert server is not None, "nobody does this"
    return server


def make_task(loop: Any, work: Any, *, context: Context | None = None) -> asyncio.Task[Any]:
    """One that may be left undone, where its process dies."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    task._log_destroy_pending = (context or copy_context()).get(OWNER, None) is None  # type: ignore[attr-defined]
    return task


def leave(cluster: Cluster) -> None:
    """What is under way is given up with its processes, and neither told of nor seen by whoever comes next."""
    for server in cluster.all:
        server.is_alive = server.hangs = False
        for process in server.made:
            process.page.close()
    for task in asyncio.all_tasks(cluster.loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        give_up(task.get_coro())
    cluster.loop.close()


def give_up(work: Any) -> None:
    """It, and what it was to begin with."""
    if inspect.iscoroutine(work) and work.cr_frame is not None:
        for value in [*work.cr_frame.f_locals.values()]:
            if inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
                value.close()
        with contextlib.suppress(Exception):
            work.close()

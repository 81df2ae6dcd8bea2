"""The process that has called ``init()`` and is forked for each worker, seen from the server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Callable
from dataclasses import replace

from modelport_scoring.failures import Failure, StartFailed, read_failure_frame
from modelport_scoring.logs.journal import Journal
from modelport_scoring.processes.memory_kills import MemoryKills
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.process import (
    ProcessGroup,
    Shared,
    SpawnedProcess,
    cannot_start,
    ended_early,
    late,
    parent_of,
    share,
    told_exit,
)
from modelport_worker.frames import FAILED, FORK, FORKED, HEADER, HEADER_SIZE, PHASE, READY, REAP, REAPED, pack

FORK_TIMEOUT_S = 10.0
"""A fork takes milliseconds. One that takes so long waits for what did not survive it."""

REAP_TIMEOUT_S = 1.0
"""How long an exit status is waited for."""

LAST_WORDS_S = 0.2
"""Between the last words of a template, or the end of its link, and its own end."""

PATIENCE_S = 5.0
"""A template that has been let go may take so long to end."""

MOST_FRAME_BYTES = 64 * 1024 * 1024
"""Of what it says, a failed start for one."""

MOST_LAST_READS = 64
"""So much of its last words is listened to: what it has forked itself may hold its end of the link, and talk on."""

EXIT_UNKNOWN = "nobody knows how: the process that it was forked from has gone, or its script collected the exit status"


class TemplateEnded(Exception):
    """It can fork no more; another one can be started."""


class Template:
    """Starts as a worker does; then it forks when told, and tells how the forks ended. Running forks do not need it."""

    def __init__(self, launch: Launch, *, loop: asyncio.AbstractEventLoop) -> None:
        """Start it. Raises StartFailed where the system cannot."""
        self._process = SpawnedProcess(replace(launch, command=(*launch.command, "--template")))
        self._socket = self._process.socket
        self._socket.setblocking(False)
        self.fork_timeout_s = min(FORK_TIMEOUT_S, launch.start_timeout_s)
        self.ready_timeout_s = launch.start_timeout_s if launch.warm_up else self.fork_timeout_s
        """Of a fork."""
        self._loop = loop
        self._journal = Journal(launch.log)
        self._received = bytearray()
        self._phase = "start"
        self._failure: Failure | None = None
        self._let_go = False
        self._given_up = False
        self._link_open = True
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._reaps: dict[int, Callable[[int | None], None]] = {}
        self._ready: asyncio.Future[None] = loop.create_future()
        self._ready.add_done_callback(seen)
        self._ended: asyncio.Future[None] = loop.create_future()
        self._deadline = loop.call_later(launch.start_timeout_s, self._overdue)
        try:
            self._watch()
        except OSError as error:
            self._deadline.cancel()
            raise StartFailed(cannot_start(launch, error)) from error

    @property
    def is_usable(self) -> bool:
        """Whether it forks, or will once it is ready."""
        return self._link_open and not self._let_go

    @property
    def has_ended(self) -> bool:
        return self._ended.done()

    async def ready(self) -> None:
        """Wait until ``init()`` has returned. Raises StartFailed when the start failed; then the process is gone."""
        await asyncio.shield(self._ready)

    async def fork(self) -> ForkedProcess:
        """One more worker. Raises StartFailed where the system refuses, and TemplateEnded."""
        number = next(self._numbers)
        shared: Shared | None = None
        try:
            shared = share()
            pid = await self._ask_for_fork(number, shared)
            process = self._forked_process(number, pid, shared)
        except BaseException as error:
            if shared is not None:
                shared.close()
            if isinstance(error, OSError):
                raise StartFailed(cannot_fork(error)) from error
            raise
        shared.theirs.close()
        return process

    def _forked_process(self, number: int, pid: int, shared: Shared) -> ForkedProcess:
        """What has been forked. Raises TemplateEnded, and OSError where we want for what it takes to watch it; then its
        template ends it."""
        try:
            self._see_that_it_forked(pid)
            return ForkedProcess(self, number, pid=pid, shared=shared)
        except OSError:
            self.end_fork(number)
            raise

    async def _ask_for_fork(self, number: int, shared: Shared) -> int:
        """One at a time, so that each has its time for itself: memory is not copied, but its page tables are."""
        async with self._turn:
            return await self._asked_for_fork(number, shared)

    async def _asked_for_fork(self, number: int, shared: Shared) -> int:
        answer = self._forks[number] = self._loop.create_future()
        try:
            if not self.is_usable:
                raise TemplateEnded
            socket.send_fds(self._socket, [pack(number, FORK)], list(shared.descriptors))
            return await asyncio.wait_for(answer, self.fork_timeout_s)
        except (BrokenPipeError, ConnectionResetError):
            self._link_closed()
            raise TemplateEnded from None
        except TimeoutError:
            self._give_up(f"did not fork within {self.fork_timeout_s:g} s")
            raise TemplateEnded from None
        finally:
            del self._forks[number]

    def reap(self, number: int, told: Callable[[int | None], None]) -> None:
        """Have ``told`` called once with the exit status of the fork, which has ended, or with None: it is unknown."""
        self._reaps[number] = told
        try:
            self._socket.send(pack(number, REAP))
        except OSError:
            self._told(number, None)
        else:
            self._loop.call_later(REAP_TIMEOUT_S, self._told, number, None)

    def end_fork(self, number: int) -> None:
        """Have the fork ended, and its exit status collected, where nobody will be told of its end."""
        self.reap(number, lambda _: None)

    def stop_starting(self) -> None:
        """End it, unless it is ready."""
        if not self._ready.done():
            self._let_go = True
            self._process.kill()

    async def end(self) -> None:
        """Have it end by itself, and wait for that."""
        self._let_go = True
        self.stop_starting()
        if not self.has_ended:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._loop.call_later(PATIENCE_S, self._process.kill)
        await asyncio.shield(self._ended)

    def _watch(self) -> None:
        """Raises OSError; then it is ended."""
        self._process.watch(self._loop, ended=self._process_ended)
        try:
            self._loop.add_reader(self._socket, self._receive)
        except OSError:
            self._process.kill()
            raise

    # --- what it says -------------------------------------------------------------------------------------------------

    def _receive(self) -> bool:
        """Handle what has come, so much of it that whoever talks without end keeps nobody else waiting. Whether there
        was anything."""
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._link_closed()
            return False
        self._received += data
        self._split()
        return True

    def _split(self) -> None:
        """Handle the whole frames, and keep the rest."""
        received, start = self._received, 0
        while len(received) - start >= HEADER_SIZE and not self._given_up:
            number, payload_size, meta_size, _, code, kind, _ = HEADER.unpack_from(received, start)
            payload = start + HEADER_SIZE + meta_size
            if payload + payload_size > len(received):
                if meta_size + payload_size > MOST_FRAME_BYTES:
                    self._give_up(f"sent a frame of {meta_size + payload_size} bytes")
                break
            start = payload + payload_size
            self._frame_received(number, kind, code, bytes(received[payload:start]))
        del received[:start]

    def _frame_received(self, number: int, kind: int, code: int, payload: bytes) -> None:
        try:
            if kind == FORKED:
                self._forked(number, code, payload)
            elif kind == REAPED:
                self._told(number, int(payload) if payload else None)
            elif self._ready.done():
                self._give_up(f"sent a frame of the kind {kind}, though its start was over")
            elif kind == PHASE:
                self._phase = payload.decode(errors="replace")
            elif kind == READY:
                self._deadline.cancel()
                self._ready.set_result(None)
            elif kind == FAILED:
                self._start_failed(payload)
            else:
                self._give_up(f"sent a frame of the kind {kind}")
        except ValueError:
            self._give_up(f"sent a number that is none: {payload[:40]!r}")

    def _start_failed(self, payload: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            self._failure = read_failure_frame(payload)
        self._loop.call_later(LAST_WORDS_S, self._process.kill)

    def _forked(self, number: int, code: int, payload: bytes) -> None:
        answer = self._forks.get(number)
        if answer is None or answer.done():
            return  # it came too late; the fork's socket is closed, so that it ends
        if code:
            answer.set_exception(OSError(code, os.strerror(code)))
        else:
            answer.set_result(int(payload))

    def _see_that_it_forked(self, pid: int) -> None:
        """Raises TemplateEnded where the process is not a child of it: what it says is a script's word, and that one
        must not have us kill whomever it likes. Where it has ended since, its forks have another parent."""
        if parent_of(pid) != self._process.pid:
            if self._process.runs:
                self._give_up(f"named a process that is none of its forks, {pid}")
            self._link_closed()
            raise TemplateEnded

    def _told(self, number: int, returncode: int | None) -> None:
        told = self._reaps.pop(number, None)
        if told is not None:
            told(returncode)

    # --- its end ------------------------------------------------------------------------------------------------------

    def _overdue(self) -> None:
        self._failure = self._process.overdue(self._phase)
        self._process.kill()

    def _give_up(self, why: str) -> None:
        self._journal.write(f"modelport: the template {self._process.pid} {why}; it is ended")
        self._let_go = self._given_up = True
        if self._link_open:  # else its end was noticed, and its socket is closed
            self._loop.remove_reader(self._socket)
        self._process.kill()

    def _link_closed(self) -> None:
        """It has ended, or will, though that may not be noticed yet: the next fork is asked of another one."""
        if not self._link_open:
            return
        self._link_open = False
        self._loop.remove_reader(self._socket)
        if not self._let_go:
            self._loop.call_later(LAST_WORDS_S, self._process.kill)

    def _process_ended(self) -> None:
        for _ in range(MOST_LAST_READS):
            if self._given_up or not self._receive():
                break
        self._link_closed()
        self._deadline.cancel()
        self._socket.close()
        how = told_exit(self._process)
        self._process.page.close()
        if not self._ready.done():
            self._ready.set_exception(StartFailed(self._failure or ended_early(self._phase, how)))
        elif not self._let_go:
            self._journal.write(
                f"modelport: the template {self._process.pid}, which workers are forked from, ended "
                f"({how}); its workers go on, and the next one to start needs a new template"
            )
        for answer in self._forks.values():
            if not answer.done():
                answer.set_exception(TemplateEnded())
        for number in list(self._reaps):
            self._told(number, None)
        self._ended.set_result(None)


class ForkedProcess:
    """A child of the template, which collects its exit status for us."""

    def __init__(self, template: Template, number: int, *, pid: int, shared: Shared) -> None:
        """Raises OSError where it cannot be watched."""
        self.exit: str | None = None
        self.start_timeout_s = template.ready_timeout_s
        self.pid = pid
        self.socket = shared.ours
        self.page = shared.page
        self._template = template
        self._number = number
        self._group = ProcessGroup(pid)
        self._memory_kills = MemoryKills()

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        def told(returncode: int | None) -> None:
            self.exit = EXIT_UNKNOWN if returncode is None else self._memory_kills.describe_exit(returncode)
            ended()

        try:
            self._group.watch(loop, ended=lambda: self._template.reap(self._number, told))
        except OSError:
            self._template.end_fork(self._number)
            self.socket.close()
            self.page.close()
            raise

    def kill(self) -> None:
        self._group.kill()

    def overdue(self, phase: str) -> Failure:
        if phase != "start":  # it has come up, and does its warm-up
            return late(phase, limit_s=self.start_timeout_s)
        return Failure(
            phase=phase,
            type="TimeoutError",
            message=f"a forked worker was not ready within {self.start_timeout_s:g} s: something that import or init() "
            "has set up does not survive a fork. Set worker_start to spawn",
        )


def cannot_fork(error: OSError) -> Failure:
    """The system refused: no memory, no processes or descriptors left."""
    return Failure(
        phase="start", type=type(error).__name__, message=f"a worker could not be forked: {error.strerror or error}"
    )


def seen(future: asyncio.Future[None]) -> None:
    """Whoever waited knows; asyncio would report an exception that nobody waited for."""
    if not future.cancelled():
        future.exception()

"""A process that works on large tensors, so that the event loop can answer others meanwhile.

A thread would not do: reading JSON holds Python's lock from the first byte to the last. The process is started when it
is needed, does one job after the other, and ends after a while without one, or when its server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from modelport_scoring.failures import describe_exit
from modelport_scoring.inference_protocol.jobs import Done, Job, perform
from modelport_scoring.inference_protocol.protocol import Body
from modelport_scoring.logs.journal import say

SIZES = struct.Struct("<IQ")
"""Before each message: the lengths of its JSON and of the bytes behind it."""

PIECE_BYTES = 256 * 1024
"""So much is written at once."""

IDLE_S = 30.0
"""A process that has had nothing to do for so long ends: it keeps memory of the largest job."""


class SideProcessEnded(Exception):
    """It ended while it had the job, or could not be started; the message says how."""


class NoTurn(Exception):
    """Nobody waits for the job any more, or it has waited as long as it may."""


class SideProcess:
    """Seen from the server: at most one process at a time."""

    def __init__(self) -> None:
        self.held_bytes = 0
        """Of the jobs that wait or are being done."""
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def do(
        self, job: Job, body: Body, *, wait_s: float | None = None, is_wanted: Callable[[], bool] = lambda: True
    ) -> tuple[Done, bytes]:
        """What comes of the job, in its turn. Raises SideProcessEnded; and NoTurn where others take longer than
        ``wait_s`` seconds, or it is not wanted any more when its turn has come."""
        await self._wait_for_turn(wait_s)
        try:
            if not is_wanted():
                raise NoTurn
            return await self._do(job, body)
        finally:
            self._turn.release()

    def hold(self, size: int, *, until: asyncio.Future[None]) -> None:
        """Count the bytes of a job from now on: the task that has it done begins when others may have come."""
        self.held_bytes += size
        until.add_done_callback(lambda _: self._let_go(size))

    def _let_go(self, size: int) -> None:
        self.held_bytes -= size

    async def _wait_for_turn(self, wait_s: float | None) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._turn.acquire()
        except TimeoutError as error:
            raise NoTurn from error

    def close(self) -> None:
        """End it, whatever it does."""
        if self._idle is not None:
            self._idle.cancel()
        if self._streams is not None:
            self._streams[1].close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._streams = self._idle = None

    async def _do(self, job: Job, body: Body) -> tuple[Done, bytes]:
        if self._idle is not None:
            self._idle.cancel()
        try:
            reader, writer = self._streams or await self._start()
            head = msgspec.json.encode(job)
            writer.write(SIZES.pack(len(head), len(body)) + head)
            view = memoryview(body)
            for start in range(0, len(body), PIECE_BYTES):
                writer.write(view[start : start + PIECE_BYTES])
                await writer.drain()
            head_bytes, payload_bytes = SIZES.unpack(await reader.readexactly(SIZES.size))
            done = msgspec.json.decode(await reader.readexactly(head_bytes), type=Done)
            payload = await reader.readexactly(payload_bytes)
        except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            raise SideProcessEnded(self._how_it_ended(error)) from error
        except BaseException:
            self.close()  # it is in the middle of a job
            raise
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self.close)
        return done, payload

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
            try:
                self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
            except OSError:
                ours.close()
                raise
        self._streams = await asyncio.open_unix_connection(sock=ours)
        return self._streams

    def _how_it_ended(self, error: Exception) -> str:
        process = self._process
        if process is None:
            return f"a process for large tensors could not be started: {error}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        how = "without a word" if process.poll() is None else describe_exit(process.returncode)
        self.close()
        text = f"the process that works on large tensors ended ({how})"
        say(text)
        return text


def serve(channel: socket.socket) -> None:
    """Do jobs until the other side closes."""
    with channel.makefile("rb") as incoming:
        while len(sizes := incoming.read(SIZES.size)) == SIZES.size:
            head_bytes, body_bytes = SIZES.unpack(sizes)
            head, body = incoming.read(head_bytes), incoming.read(body_bytes)
            if len(head) + len(body) < head_bytes + body_bytes:
                return
            done, payload = perform(msgspec.json.decode(head, type=Job), body)
            text = msgspec.json.encode(done)
            channel.sendall(SIZES.pack(len(text), len(payload)) + text)
            channel.sendall(payload)


def main(arguments: Sequence[str]) -> None:
    """``arguments``: the descriptor of the socket."""
    # What it takes from the processor is not taken from the loop's answers.
    with contextlib.suppress(OSError):
        os.nice(5)
    with socket.socket(fileno=int(arguments[0])) as channel, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(channel)


if __name__ == "__main__":
    main(sys.argv[1:])

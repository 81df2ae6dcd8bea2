"""Frames between server and worker: cut in any way, either side reads what the other one wrote; and a worker that sends
anything else is found out at the same place, however its bytes are cut.

An input is a seed for the cuts, one byte, and the frames: a control byte for each, then sizes and content taken from
what follows.
"""

from __future__ import annotations

import asyncio
import mmap
import random
import socket
from typing import cast

from fuzz.pieces import cut
from fuzz.wire import Client, Loop, Wire
from modelport_scoring.workers.link import Link
from modelport_scoring.workers.worker import ALIKE
from modelport_worker.batching import one_by_one
from modelport_worker.frames import (
    BATCH,
    CHUNK,
    HEADER,
    HEADER_SIZE,
    RESULT,
    RESULTS,
    RETURNED,
    SCORE,
    lengths,
    pack,
)
from modelport_worker.link import BUFFER_SIZE, LARGE_PAYLOAD, Inbox, LinkClosed, Outbox
from modelport_worker.link import Frame as WorkerFrame
from modelport_worker.link import Link as WorkerLink

Seen = tuple[object, ...]
Frame = tuple[int, bytes, bytes, int]
"""Id, payload, meta and flags."""

NO_MEMORY = mmap.mmap(-1, mmap.PAGESIZE)
"""What server and worker share; these frames make no use of it."""

MOST_BYTES = 3 * BUFFER_SIZE
MOST_ALIKE = 5
"""So many requests go to the worker in one frame."""


class Server:
    """The server's end, and what it is told."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._loop = Loop()
        self._link = Link(self, loop=cast(asyncio.AbstractEventLoop, self._loop), most_alike=MOST_ALIKE)

    def write(self, frames: list[Frame], chance: random.Random) -> bytes:
        """What goes out for the requests, the event loop having its turns in between."""
        wire = Wire(Client(self._link, chance))
        self._link.connection_made(wire)
        for number, payload, meta, flags in frames:
            if meta or flags not in ALIKE:
                self._link.outbox.send(number, SCORE, payload, meta, flags)
            else:
                self._link.outbox.score(number, payload, flags)
            if chance.random() < 0.5:
                self._loop.run_one()
        while self._loop.run_one():
            pass
        return bytes(wire.written)

    def read(self, pieces: list[bytes]) -> list[Seen]:
        for piece in pieces:
            if piece:
                self._link.data_received(piece)
        return self.seen

    def frame_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        self.seen.append((request_id, kind, code, flags, micros, bytes(meta), bytes(payload)))

    answer_received = frame_received

    def frames_handled(self) -> None:
        pass

    def link_has_room(self) -> None:
        pass

    def garbage_received(self, what: str) -> None:
        self.seen.append((what,))

    def link_closed(self) -> None:
        pass


class Channel:
    """The worker's socket: each read brings a piece, or as much of it as there is room for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv_into(self, room: memoryview) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        size = min(len(piece), len(room))
        room[:size] = piece[:size]
        if piece[size:]:
            self._pieces.insert(0, piece[size:])
        return size


def read_as_worker(pieces: list[bytes]) -> list[Seen]:
    inbox = Inbox(cast(socket.socket, Channel(pieces)), NO_MEMORY)
    seen: list[Seen] = []
    try:
        while True:
            while (requests := inbox.take()) is not None:
                seen += [frame_seen(frame) for frame in one_by_one([requests])]
            inbox.fill()
    except LinkClosed:
        return seen


def frame_seen(frame: WorkerFrame) -> Seen:
    return frame.id, frame.kind, frame.flags, bytes(frame.payload), bytes(frame.meta)


class Sink:
    """The worker's socket: keeps what is sent."""

    def __init__(self) -> None:
        self.sent = bytearray()

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += data


class Writer(WorkerLink):
    """The worker's end, with nothing of its own but what it has to send."""

    def __init__(self, sink: Sink) -> None:
        self._connection = cast(socket.socket, sink)
        self._outbox = Outbox(self._connection)
        self._page = NO_MEMORY


def write_as_worker(frames: list[Frame], chance: random.Random) -> tuple[bytes, list[Seen]]:
    """Answers in each of their forms, and what the server is to see of them."""
    sink = Sink()
    link, seen, now = Writer(sink), list[Seen](), 0.0
    for number, payload, meta, flags in frames:
        now += chance.choice((0.0, 1e-5, 0.01))
        micros, form = chance.choice((1, 500, 1_000_000)), chance.randrange(4)
        if form == 0:
            link.send_chunk(number, payload, flags)
            seen.append((number, CHUNK, 0, flags, 0, b"", payload))
        elif form == 1:
            link.announce_batch(3, flags, micros, meta, now)
            seen.append((0, BATCH, 3, flags, micros, b"", meta))
        elif form == 2 and len(payload) < LARGE_PAYLOAD:
            link.answer_together(number, [len(payload), 0], payload, micros, now, flags)
            together = lengths(2).pack(len(payload), 0) + payload
            seen.append((number, RESULTS, 2, flags | RETURNED, micros, b"", together))
        else:
            link.answer(WorkerFrame(number, SCORE, 0, b"", b""), 200, flags, payload, meta, micros, now)
            seen.append((number, RESULT, 200, flags, micros, meta, payload))
    link.flush()
    return bytes(sink.sent), seen


def make_frames(data: bytes, chance: random.Random) -> list[Frame]:
    """Now and then one that fills the worker's buffer, or does nearly."""
    frames: list[Frame] = []
    left, first = MOST_BYTES, chance.randrange(1, 1 << 63)
    while len(data) > 2:
        control, size, data = data[0], data[1], data[2:]
        payload, data = data[:size], data[size:]
        meta = payload[: control % 16]
        if control >= 0xF0:
            payload = bytes(min(left, BUFFER_SIZE - HEADER_SIZE - len(meta) + chance.randrange(-2, 3)))
        left = max(0, left - len(payload))
        frames.append((first + len(frames), payload, meta, control % 8))
    return frames


def check_one(data: bytes) -> None:
    chance = random.Random(data[:1])
    frames = make_frames(data[1:], chance)
    answers = b"".join(
        pack(number, RESULT, payload, meta=meta, flags=flags, code=200, micros=7)
        for number, payload, meta, flags in frames
    )
    expected = [(number, RESULT, 200, flags, 7, meta, payload) for number, payload, meta, flags in frames]
    assert Server().read(cut(answers, chance)) == expected
    written, seen = write_as_worker(frames, chance)
    assert Server().read(cut(written, chance)) == seen
    requests = Server().write(frames, chance)
    wanted = [(number, SCORE, flags, payload, meta) for number, payload, meta, flags in frames]
    assert read_as_worker(cut(requests, chance)) == wanted
    check_anything(data[1:], chance)


def check_anything(data: bytes, chance: random.Random) -> None:
    """What a worker that has gone mad may write."""
    if len(data) >= HEADER_SIZE:  # a kind that is known, with sizes that may be there
        number, *_ = HEADER.unpack_from(data)
        data = (
            HEADER.pack(number, data[8], data[12] % 8, 0, data[20], 16 + data[22] % 10, data[23]) + data[HEADER_SIZE:]
        )
    assert Server().read(cut(data, chance)) == Server().read([data])

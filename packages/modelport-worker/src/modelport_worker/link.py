"""The worker's end of the link to the scoring server: frames in, frames out, and the shared page."""

import io
import mmap
import os
import select
import signal
import socket
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from modelport_worker.forking import call_around_fork
from modelport_worker.frames import (
    ARRAY,
    BATCH,
    CANCELLED,
    CANCELLED_AT,
    CHUNK,
    CUT_OFF_AT,
    HEADER,
    HEADER_SIZE,
    MEMORY_SIZE,
    RESULT,
    RESULTS,
    RETURNED,
    SCORE,
    SCORES,
    SHARED,
    SLOT,
    STARTED,
    lengths,
    pack,
)

BUFFER_SIZE = 256 * 1024
"""What one read may bring. A frame that does not fit gets memory of its own."""

LARGE_PAYLOAD = 64 * 1024
"""From here on a payload is sent by itself: one more call costs less than one more copy."""

HOLD_SECONDS = 0.001
"""Answers are kept back this long, to go out together, where the next one is expected as soon as the last one came."""

LONG_SECONDS = 0.01
CAREFUL = 1000
"""After an answer that took so long, the next one may, too: so many are not kept back, nor the first ones of all."""


class Frame(NamedTuple):
    id: int
    kind: int
    flags: int
    payload: Union[bytes, bytearray]
    """With ARRAY a bytearray: the script may write to its argument."""
    meta: bytes
    slot: Optional[Tuple[int, int]] = None
    """Offset and size of the place in the shared memory in which the answer to a payload from there may go out."""

    @property
    def sizes(self) -> Tuple[int, ...]:
        """The length of each payload, as a Bundle's."""
        return (len(self.payload),)


class Bundle(NamedTuple):
    """Several requests that came in one frame."""

    id: int
    """Of the first; those of the others follow it."""
    kind: int
    flags: int
    payload: Union[bytes, bytearray]
    """Of all, one behind another."""
    sizes: Tuple[int, ...]

    def frames(self) -> Iterator[Frame]:
        """Each by itself."""
        start = 0
        for number, size in enumerate(self.sizes, self.id):
            yield Frame(number, SCORE, self.flags, self.payload[start : start + size], b"")
            start += size


class LinkClosed(Exception):
    """The server's end is gone, or this process is a fork that the link does not belong to."""


class Terminated(Exception):
    """SIGTERM came while nothing was being done."""


class Inbox:
    """The frames that the server sends, in their order."""

    def __init__(self, connection: socket.socket, memory: mmap.mmap) -> None:
        self._connection = connection
        self._memory = memory
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._large: Optional[Frame] = None

    def take(self) -> Union[Frame, Bundle, None]:
        """The next frame, if the whole of it has been received; does not wait."""
        start = self._start
        if self._end - start < HEADER_SIZE:
            return self._take_large()
        request_id, payload_size, meta_size, _, count, kind, flags = HEADER.unpack_from(self._buffer, start)
        meta = start + HEADER_SIZE
        payload = meta + meta_size
        stop = payload + payload_size
        if stop > self._end:
            return None
        self._start = stop
        view = self._view
        if kind == SCORES:
            table = lengths(count)
            bodies = view[payload + table.size : stop]
            payloads = bytearray(bodies) if flags & ARRAY else bytes(bodies)
            return Bundle(request_id, kind, flags, payloads, table.unpack_from(self._buffer, payload))
        if flags & SHARED:
            return self._shared(request_id, kind, flags, bytes(view[payload:stop]), bytes(view[meta:payload]))
        body = bytearray(view[payload:stop]) if flags & ARRAY else bytes(view[payload:stop])
        return Frame(request_id, kind, flags, body, bytes(view[meta:payload]) if meta_size else b"")

    def _shared(self, request_id: int, kind: int, flags: int, place: bytes, meta: bytes) -> Frame:
        """The frame whose payload is where ``place``, a SLOT, says."""
        offset, length, *answer = SLOT.unpack(place)
        payload = self._copy_shared(offset, length, writable=bool(flags & ARRAY))
        return Frame(request_id, kind, flags, payload, meta, tuple(answer))

    def _copy_shared(self, offset: int, length: int, *, writable: bool) -> Union[bytes, bytearray]:
        if not writable:
            return self._memory[offset : offset + length]
        with memoryview(self._memory) as memory, memory[offset : offset + length] as shared:
            return bytearray(shared)

    def _take_large(self) -> Optional[Frame]:
        frame, self._large = self._large, None
        return frame

    def fill(self) -> None:
        """Wait until more has come. Raises LinkClosed at the end of the stream."""
        self._move_to_front()
        if self._end == BUFFER_SIZE:
            self._receive_large()
        else:
            self._end += self._receive(self._view[self._end :])

    def _move_to_front(self) -> None:
        rest = bytes(self._view[self._start : self._end]) if self._start else None
        if rest is not None:
            self._view[: len(rest)] = rest
            self._start, self._end = 0, len(rest)

    def _receive_large(self) -> None:
        """The frame that fills the whole buffer: the rest of it goes straight to where it will stay."""
        request_id, payload_size, meta_size, _, _, kind, flags = HEADER.unpack_from(self._buffer, 0)
        received = self._view[HEADER_SIZE:]
        meta = self._receive_whole(meta_size, received[:meta_size])
        payload = self._receive_whole(payload_size, received[meta_size:])
        self._start = self._end = 0
        if flags & SHARED:  # what is large is the meta
            self._large = self._shared(request_id, kind, flags, payload, meta)
        else:
            self._large = Frame(request_id, kind, flags, bytearray(payload) if flags & ARRAY else payload, meta)

    def _receive_whole(self, size: int, beginning: memoryview) -> bytes:
        """``size`` bytes, the first of which have come. A BytesIO gives up its memory as bytes, without a copy."""
        if size == len(beginning):
            return bytes(beginning)
        memory = io.BytesIO()
        memory.seek(size - 1)
        memory.write(b"\0")
        with memory.getbuffer() as view:
            received = len(beginning)
            view[:received] = beginning
            while received < size:
                received += self._receive(view[received:])
        return memory.getvalue()

    def _receive(self, room: memoryview) -> int:
        with room:
            count = self._connection.recv_into(room)
        if not count:
            raise LinkClosed
        return count


class Outbox:
    """Answers on their way to the server; several that are ready within a millisecond go out as one write."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held: List[Union[bytes, memoryview]] = []
        self._held_since = 0.0
        self._careful = CAREFUL

    def put(self, frame: bytes, now: float, next_expected_s: float) -> None:
        """Send the frame, at the latest with ``flush``. ``next_expected_s``: how long the next answer may take."""
        held = self._held
        if not held:
            self._held_since = now
        held.append(frame)
        if next_expected_s > LONG_SECONDS:
            self._careful = CAREFUL
        elif self._careful:
            self._careful -= 1
        if self._careful or now - self._held_since + next_expected_s > HOLD_SECONDS:
            self.flush()

    def put_now(self, *parts: Union[bytes, memoryview]) -> None:
        """Send what is held back and a frame in parts."""
        self._held.extend(parts)
        self.flush()

    def put_large(self, head: bytes, payload: Union[bytes, memoryview]) -> None:
        """Send a frame whose payload is not copied behind its head."""
        self._held.append(head)
        self.flush()
        self._connection.sendall(payload)

    def flush(self) -> None:
        """Send what is held back. The server always reads, so that this cannot wait for ever."""
        if self._held:
            data = b"".join(self._held)
            self._held = []
            self._connection.sendall(data)


class Link:
    """Both directions and the page. Neither is inherited by what the user's script starts or forks."""

    def __init__(self, *, socket_fd: int, page_fd: int) -> None:
        os.set_inheritable(socket_fd, False)
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=socket_fd)
        self._connection.setblocking(True)
        self._page = mmap.mmap(page_fd, MEMORY_SIZE)
        os.close(page_fd)
        # select() takes no descriptor above 1023, which a busy server's sockets may have.
        self._arrivals = select.poll()
        self._arrivals.register(self._connection, select.POLLIN)
        self._inbox = Inbox(self._connection, self._page)
        self._outbox = Outbox(self._connection)
        self._waiting = False
        self._terminating = False
        self.closed = False
        self.take = self._inbox.take
        self._signal_mask: Set[Any] = set()
        call_around_fork(self._hold_signals, parent=self._release_signals, child=self._leave_to_parent)

    def wait(self) -> None:
        """Send what is held back, then wait for more. Raises LinkClosed and Terminated."""
        self._outbox.flush()
        self._waiting = True
        try:
            if self._terminating:
                raise Terminated
            self._inbox.fill()
        finally:
            self._waiting = False

    def terminate_when_idle(self) -> None:
        """From now on SIGTERM ends the wait for requests; a request that is being scored is finished first."""
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, *_: Any) -> None:
        self._terminating = True
        if self._waiting:
            raise Terminated

    @property
    def terminating(self) -> bool:
        return self._terminating

    def receive_more(self, wait_s: float) -> bool:
        """Receive what has come, and wait so long if nothing has. Whether there was anything."""
        if wait_s > 0:
            self._outbox.flush()
        if not self._arrivals.poll(wait_s * 1000):
            return False
        self._inbox.fill()
        return True

    def mark_started(self, first_id: int, last_id: int) -> None:
        """Note in the shared page what is being worked on, for the server to read after a crash."""
        STARTED.pack_into(self._page, 0, first_id, last_id)

    def note_cut_off(self) -> None:
        """Note there that the link's descriptor has been closed, by whom nobody could tell otherwise."""
        if not self._page.closed:
            self._page[CUT_OFF_AT] = 1

    def is_cancelled(self, request_id: int) -> bool:
        """Whether nobody wants the rest of the body of that request's answer."""
        return bool(CANCELLED.unpack_from(self._page, CANCELLED_AT)[0] == request_id)

    def answer(self, frame: Frame, code: int, flags: int, payload: bytes, meta: bytes, micros: int, now: float) -> None:
        """Send the RESULT of a frame together with those that follow it closely. ``now``: time.perf_counter.

        All by position, and the frame packed here: this and ``put`` are most of what a request costs.
        """
        if len(payload) >= LARGE_PAYLOAD and frame.slot is not None and len(payload) <= frame.slot[1]:
            offset, room = frame.slot
            self._page[offset : offset + len(payload)] = payload
            payload, flags = SLOT.pack(offset, len(payload), offset, room), flags | SHARED
        head = HEADER.pack(frame.id, len(payload), len(meta), micros, code, RESULT, flags)
        if len(payload) < LARGE_PAYLOAD:
            self._outbox.put(head + meta + payload, now, micros * 1e-6)
        else:
            self._outbox.put_large(head + meta, payload)

    def answer_together(
        self, first_id: int, sizes: Sequence[int], bodies: bytes, micros: int, now: float, flags: int = 0
    ) -> None:
        """Send the answers to requests that one call of ``run`` has scored, and whose ids follow each other: small
        ones, with status 200 and no headers, one behind another. ``now``: time.perf_counter. With NUMBERS, ``bodies``
        are doubles, and ``sizes`` say how many of them each answer is the list of."""
        body = lengths(len(sizes)).pack(*sizes) + bodies
        head = HEADER.pack(first_id, len(body), 0, micros, len(sizes), RESULTS, RETURNED | flags)
        self._outbox.put(head + body, now, 0.0)

    def announce_batch(self, count: int, flags: int, micros: int, reason: bytes, now: float) -> None:
        """Say of the next ``count`` answers that they were made together, or could not be."""
        head = HEADER.pack(0, len(reason), 0, micros, count, BATCH, flags)
        self._outbox.put(head + reason, now, 0.0)

    def send_chunk(self, request_id: int, chunk: Union[bytes, memoryview], flags: int = 0) -> None:
        """Send a piece of a body, at once."""
        head = HEADER.pack(request_id, len(chunk), 0, 0, 0, CHUNK, flags)
        if len(chunk) < LARGE_PAYLOAD:
            self._outbox.put_now(head, chunk)
        else:
            self._outbox.put_large(head, chunk)

    def tell(self, kind: int, payload: bytes) -> None:
        """Send a frame of the start, before which there is no answer that could be held back."""
        self._connection.sendall(pack(0, kind, payload))

    def flush(self) -> None:
        self._outbox.flush()

    def _hold_signals(self) -> None:
        """A fork that is terminated at once must not take the signal for the worker's, as it still has its handler."""
        self._signal_mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def _release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._signal_mask)

    def _leave_to_parent(self) -> None:
        self.close()
        if signal.getsignal(signal.SIGTERM) == self._on_terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._release_signals()

    def close(self) -> None:
        self.closed = True
        self._connection.close()
        self._page.close()

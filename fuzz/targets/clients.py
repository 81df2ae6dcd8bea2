"""Several clients of one listener, over time: however they send, read, wait and leave, each request has one end, the
answers keep their order, every connection ends, and nothing is left of any of them.

An input is a seed for everything that varies, a byte of settings, and steps of three bytes: what happens, to whom, and
how much of it. Every client's requests have a number each, by which the answers are told from one another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from fuzz.answers import CONTINUE, AnswerReader
from fuzz.pieces import memory_at_times
from fuzz.wire import TaskLoop
from modelport_scoring import Limits
from modelport_scoring.http.connection import Connection
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response, message
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.http.turns import Turns

STEP = 3
MOST_CLIENTS = 6
MOST_STEPS = 200
KILO = 1024

TIGHT = Limits(
    max_body_bytes=2_000 * KILO,
    max_header_bytes=2_000,
    max_connections=4,
    max_queue_bytes=100 * KILO,
    max_buffered_bytes=100 * KILO,
    queue_wait_ms=3_000,
    idle_timeout_s=5.0,
    request_timeout_s=6.0,
)
ROOMY = Limits(max_body_bytes=2_000 * KILO, idle_timeout_s=5.0, request_timeout_s=6.0)
OVER_S = 120
"""After so long, each client that does nothing has to be gone."""

WAITS_S = (0.02, 0.5, 1.0, 2.1, 3.0, 7.0)

HEAD = b"%b /score?%d HTTP/1.%d\r\nHost: x\r\n%b\r\n"
"""Of a request: its method, number, version and further headers."""

HEADS = (
    (b"GET", 1, b"", b""),
    (b"POST", 1, b"Content-Length: 3\r\n", b"abc"),
    (b"POST", 1, b"Content-Length: 100000\r\n", b""),
    (b"POST", 1, b"Content-Length: 1500000\r\n", b""),
    (b"POST", 1, b"Content-Length: 2500000\r\n", b""),
    (b"POST", 1, b"Transfer-Encoding: chunked\r\n", b""),
    (b"POST", 1, b"Expect: 100-continue\r\nContent-Length: 100000\r\n", b""),
    (b"POST", 1, b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", b""),
    (b"POST", 0, b"Connection: keep-alive\r\nContent-Length: 3\r\n", b"abc"),
    (b"GET", 0, b"", b""),
    (b"GET", 1, b"Connection: close\r\n", b""),
    (b"HEAD", 1, b"", b""),
    (b"POST", 1, b"X-Unwanted: 1\r\nContent-Length: 3\r\n", b"abc"),
    (b"POST", 1, b"X-Unwanted: 1\r\nContent-Length: 100000\r\n", b""),
    (b"POST", 1, b"X-Unwanted: 1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n", b""),
    (b"POST", 1, b"X-Faulty: 1\r\nContent-Length: 3\r\n", b"abc"),
)
PIECES = (
    b"x" * 100,
    b"x" * 70_000,
    b"x" * 250_000,
    b"x" * 100_000,
    b"11170\r\n" + b"x" * 70_000 + b"\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"GET /sc",
    b"X-More: " + b"y" * 1_500,
    b"\x16\x03\x01",
)


class Clock(TaskLoop):
    """A loop whose time passes when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 1000.0
        self.faults: list[Any] = []
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.moment

    def call_later(self, delay: float, callback: Any, *arguments: object) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.moment + delay, callback, arguments, self)  # type: ignore[arg-type]
        self._timers.append(timer)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context["exception"])

    def pass_time(self, seconds: float) -> None:
        """Call what is due until then."""
        until = self.moment + seconds
        while due := [timer for timer in self._timers if not timer.cancelled() and timer.when() <= until]:
            first = min(due, key=asyncio.TimerHandle.when)
            self._timers.remove(first)
            self.moment = max(self.moment, first.when())
            first._run()
            self.run_all()
        self.moment = until

    def run_all(self) -> None:
        while self.run_one():
            pass


class Line:
    """What stands in for a socket: it can be told to reset, and nothing else."""

    def __init__(self) -> None:
        self.lingers = True

    def fileno(self) -> int:
        return -1

    def getsockopt(self, *_: object) -> int:
        raise OSError("there is none")

    def setsockopt(self, *_: object) -> None:
        self.lingers = False


class Wire(asyncio.Transport):
    """A client's, as asyncio has it; the client reads all at once, or nothing."""

    def __init__(self, loop: Clock, *, address: str, by_tls: bool) -> None:
        super().__init__()
        self.line = Line()
        self.written = bytearray()
        self.buffered = 0
        self.client_reads = True
        self.reading = True
        self.closing = self.lost = self.was_cut = False
        self.eof_written = False
        self.protocol: Any = None
        self._loop = loop
        self._address = address
        self.by_tls = by_tls
        self._high = 256 * KILO
        self._paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        found = {"socket": self.line, "peername": (self._address, 5), "sslcontext": "" if self.by_tls else None}
        return found.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        assert not self.eof_written, f"written behind the end: {bytes(data)!r}"
        if self.lost or (self.closing and not self.buffered):
            return
        self.written += data
        if not self.client_reads:
            self.buffered += len(data)
            if self.buffered > self._high and not self._paused:
                self._paused = True
                self.protocol.pause_writing()

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))

    def read_all(self) -> None:
        self.client_reads, self.buffered = True, 0
        if self._paused:
            self._paused = False
            self.protocol.resume_writing()
        if self.closing:
            self._lose_soon()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 0 if high is None else high

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def can_write_eof(self) -> bool:
        return not self.by_tls

    def write_eof(self) -> None:
        self.eof_written = True

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.buffered:
                self._lose_soon()

    def abort(self) -> None:
        self.was_cut = self.closing = True
        self._lose_soon()

    def _lose_soon(self) -> None:
        self._loop.call_soon(self.lose)

    def lose(self) -> None:
        self.closing = True
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert self.by_tls or not self.reading
        self.reading = True


class Work:
    """What is done for one request."""

    def __init__(self, *, is_begun: bool) -> None:
        self.is_told = False
        self._is_begun = is_begun

    def client_gone(self) -> None:
        assert not self.is_told, "it was told twice"
        self.is_told = True

    def client_ended(self) -> bool:
        return self._is_begun

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Script:
    """Takes requests, and answers them when it is told to."""

    def __init__(self, limits: Limits, *, streams: bool) -> None:
        self.limits = limits
        self.known_heads = KnownHeads()
        self.most_pipelined = 1 if streams else 8
        self.held: list[Exchange] = []
        self.streaming: list[Exchange] = []
        self.works: list[tuple[Exchange, Work]] = []
        self.broken: set[object] = set()
        """Whose answers the script has broken off."""
        self.streams = streams

    def screen(self, head: Head) -> Response | None:
        return Response(404, body=b"not here") if b"x-unwanted" in head.headers else None

    def refused(self, head: Head, response: Response) -> None:
        assert response.status >= 400

    def memory_for(self, head: Head) -> memoryview | None:
        return memory_at_times(head.length)

    def no_room(self, limit: str) -> Response:
        return message(503, limit)

    def handle(self, exchange: Exchange) -> None:
        if b"x-faulty" in exchange.head.headers:
            raise ZeroDivisionError
        exchange.work = Work(is_begun=len(self.works) % 3 > 0)
        self.works.append((exchange, exchange.work))
        self.held.append(exchange)

    def answer(self, which: int, size: int) -> None:
        """One of those that wait, or the next part of one that has begun."""
        if self.streaming and size % 2:
            exchange = self.streaming[which % len(self.streaming)]
            if size > 0xC0:
                self.streaming.remove(exchange)
                if size > 0xE0:
                    self.broken.add(exchange.order)
                exchange.end(broken=size > 0xE0)
            else:
                exchange.send(b"-" * (size * 300))
        elif self.held:
            exchange = self.held.pop(which % len(self.held))
            if self.streams and exchange.head.method != b"HEAD":
                exchange.answer(Response(200, stream=BodyStream()))
                exchange.send(exchange.head.query)
                self.streaming.append(exchange)
            else:
                exchange.answer(Response(200, body=exchange.head.query + b"-" * (size * 2_000)))

    def check_end(self) -> None:
        for exchange, work in self.works:
            assert exchange.response is not None or work.is_told, "a request has no end"

    def answer_all(self) -> None:
        while self.held or self.streaming:
            self.answer(0, 0xC1 if self.streaming else 0)


class Watched(Connection):
    """Writes down which methods are to be answered, in that order."""

    def __init__(self, script: Script, listener: Listener) -> None:
        super().__init__(script, listener)
        self.methods: list[bytes] = []

    def request_received(self, head: Head, body: Body) -> None:
        if not self._closing:
            self.methods.append(head.method)
        super().request_received(head, body)

    def _refuse(self, response: Response) -> None:
        self.methods.append(b"GET" if self._reader.head is None else self._reader.head.method)
        super()._refuse(response)


@dataclass
class Client:
    """``first``: the number of its first request. ``unsent``: what it wants to send."""

    connection: Any
    wire: Wire
    first: int
    asked: int = 0
    unsent: bytearray = field(default_factory=bytearray)
    ends: bool = False
    has_ended: bool = False

    def ask(self, which: int) -> None:
        method, version, headers, body = HEADS[which % len(HEADS)]
        self.unsent += HEAD % (method, self.first + self.asked, version, headers) + body
        self.asked += 1

    def go_on(self, chance: random.Random) -> None:
        """Send what the server reads."""
        if self.has_ended:
            return
        while self.unsent and self.wire.reading and not self.wire.closing:
            size = min(len(self.unsent), 256 * KILO, chance.randrange(1, 2 * len(self.unsent) + 1))
            piece, self.unsent = bytes(self.unsent[:size]), self.unsent[size:]
            self.wire.protocol.data_received(piece)
        if self.ends and not self.unsent and self.wire.reading and not self.wire.closing:
            self.has_ended = True
            if self.wire.protocol.eof_received() and not self.wire.by_tls:
                return  # it gets what is owed to it, and the server ends the connection
            self.wire.was_cut = True
            self.wire.close()


class Visit:
    """The listener's life."""

    is_relayed = False
    """Whether the fields of the answers are those of another server."""

    def __init__(self, loop: Clock, settings: int, chance: random.Random) -> None:
        self.chance = chance
        self.loop = loop
        self.script = self.new_script(ROOMY if settings & 1 else TIGHT, streams=bool(settings & 2))
        self._by_tls = bool(settings & 4)
        self.listener = Listener(cast(asyncio.AbstractEventLoop, self.loop), most_connections=100)
        if settings & 8:
            self.listener.turns = Turns(call_soon=self.loop.call_soon, turn_s=0.0)
        self.clients: list[Client] = []
        self._come()

    def new_script(self, limits: Limits, *, streams: bool) -> Any:
        """Who answers the requests."""
        return Script(limits, streams=streams)

    def new_connection(self) -> Any:
        """With ``methods``, which tells what is to be answered."""
        return Watched(self.script, self.listener)

    def _come(self) -> None:
        connection = self.new_connection()
        wire = Wire(self.loop, address=f"10.0.0.{len(self.clients) // 2}", by_tls=self._by_tls)
        wire.protocol = connection
        self.clients.append(Client(connection, wire, first=1_000 * (len(self.clients) + 1)))
        connection.connection_made(wire)

    def step(self, what: int, whom: int, size: int) -> None:
        client = self.clients[whom % len(self.clients)]
        if what < 0x50:
            client.ask(size)
        elif what < 0x80:
            client.unsent += PIECES[size % len(PIECES)]
        elif what < 0xB0:
            self.script.answer(whom, size)
        elif what < 0xB8:
            client.ends = True
        elif what < 0xBC:
            client.wire.was_cut = True
            client.wire.lose()
        elif what < 0xC8:
            client.wire.client_reads = False
        elif what < 0xD4:
            client.wire.read_all()
        elif what < 0xE8:
            self.loop.pass_time(WAITS_S[size % len(WAITS_S)])
        elif what < 0xF0 and len(self.clients) < MOST_CLIENTS:
            self._come()
        elif what < 0xF4:
            self.script.limits = TIGHT if size % 2 else ROOMY
            self.script.known_heads.clear()
        elif what < 0xF6:
            self.listener.stop()
        else:
            self.loop.run_one()
        self._go_on()

    def _go_on(self) -> None:
        for client in self.clients:
            client.go_on(self.chance)
        if self.chance.random() < 0.5:
            self.loop.run_all()

    def end(self) -> None:
        """The clients do nothing any more, the script does all, and time passes."""
        self.script.answer_all()
        for _ in range(OVER_S):
            self.loop.pass_time(1.0)
            for client in self.clients:
                client.go_on(self.chance)
            self.script.answer_all()
        self.listener.close()


def check_one(data: bytes, kind: type[Visit] = Visit) -> None:
    chance = random.Random(data[:1])
    running, loop = asyncio._get_running_loop(), Clock()
    asyncio._set_running_loop(cast(asyncio.AbstractEventLoop, loop))  # a paced transport asks for it
    try:
        visit = kind(loop, data[1] if len(data) > 1 else 0, chance)
        for start in range(2, min(len(data) - STEP, MOST_STEPS * STEP) + 1, STEP):
            visit.step(*data[start : start + STEP])
        visit.end()
    finally:
        asyncio._set_running_loop(running)
    check_end(visit)
    for client in visit.clients:
        check_answers(client, visit.script.broken, is_relayed=visit.is_relayed)


def check_end(visit: Visit) -> None:
    """Nothing is left."""
    faults = [fault for fault in visit.loop.faults if not isinstance(fault, ZeroDivisionError)]
    assert not faults, faults
    assert not len(visit.listener), "a connection has no end"
    visit.script.check_end()
    budget = visit.listener.budget
    assert not (budget._uploads or budget._waiting or budget._granted or budget._line), "room is kept for nobody"
    assert budget._put_off == 0, f"{budget._put_off} bytes are said to be put off"
    assert visit.listener.turns._waiting_bytes == 0


def check_answers(client: Client, broken: set[object], *, is_relayed: bool) -> None:
    """Each is whole, but for the last one of a client that was cut off, and they are in the order of its requests."""
    reader, numbers = AnswerReader(bytes(client.wire.written), is_relayed=is_relayed), list[int]()
    methods = iter(client.connection.methods)
    try:
        while reader.data and not CONTINUE.fullmatch(reader.data):
            answer = reader.read(next(methods))
            if answer.status == 200 and answer.body:
                numbers.append(int(answer.body.split(b"-", 1)[0]))
    except AssertionError:
        if not client.wire.was_cut and client.wire.line.lingers and client.connection not in broken:
            raise
    assert numbers == sorted(set(numbers)), f"{numbers} are out of order"
    assert all(client.first <= number < client.first + client.asked for number in numbers), f"{numbers}: of another"

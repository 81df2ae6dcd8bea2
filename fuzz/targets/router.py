"""A client, the router and its servers, all in memory: whatever the client sends, the servers get its requests, each
once and as the scoring server reads them; whatever the servers send, the client gets the answers that were theirs, or
is told that there is none.

An input is a seed for everything that varies, one byte, and streams with 0xFFFF between them: what the client sends,
and the servers' answers in their order. What a client's bytes mean is told by the scoring server's own reader, what a
server's do by h11.
"""

from __future__ import annotations

import asyncio
import atexit
import random
import re
import socket
from copy import copy
from typing import Any, cast

from fuzz.answers import AnswerReader
from fuzz.pieces import cut, expand
from fuzz.second_reader import read_answer
from fuzz.targets.http_reader import SEPARATOR, UNBOUNDED, Forgetful, plain_status
from fuzz.wire import Client, TaskLoop, Wire
from modelport_scoring import Limits
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.turns import Turns
from modelport_scoring.router.client import ClientConnection
from modelport_scoring.router.forward import Forward
from modelport_scoring.router.heads import MADE, OF_ONE_HOP, named_by
from modelport_scoring.router.metrics import Metrics
from modelport_scoring.router.routing import Choice, Routing
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings
from modelport_scoring.router.upstream import Upstream
from modelport_scoring.router.upstream_connection import UpstreamConnection
from modelport_scoring.settings.traffic import Traffic

LIMITS = Limits(max_body_bytes=200_000)
SETTINGS = RouterSettings(
    name="s",
    upstreams=[UpstreamSettings(revision=1, url="http://server")],
    default=1,
    traffic=Traffic(version_header=None),
    limits=LIMITS,
)
OWN_PATHS = (b"/", b"/metrics")
OTHERWISE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
"""What the servers answer once the input has no more answers."""

SOCKET = socket.socket()
"""Stands for that of every connection; it is never connected."""
atexit.register(SOCKET.close)

STATUS_LINE = re.compile(rb"[\r\n]*HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*)?\r\n")
TAKEN_BY_H11 = re.compile(
    rb"""(?<!\r)\n | \n[ \t] | [\x00-\x08\x0b\x0c\x0e-\x1f\x7f]  # bare line feeds, folded lines, control characters
    | HTTP/1\.0[ ]1 | ^HTTP/1\.1[ ]1 [^\0]*? ^connection:[ \t]*close  # an end behind which there is more
    | ^content-length:[^\r]*, | ^content-length:[^\0]*^content-length:  # the same one twice
    | ^content-length:[^\0]*^transfer-encoding: | ^transfer-encoding:[^\0]*^content-length:
    | ^[0-9a-f]+[ \t]+\r  # white space behind the size of a chunk
    | HTTP/([02-9]\.|1\.[2-9])""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
"""What the router takes for no HTTP."""

Request = tuple[Head, bytes]


class Channel(Wire):
    """Has a socket, and tells how it ended."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.was_reset = False
        self.socket = SOCKET.dup()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.socket if name == "socket" else default

    def abort(self) -> None:
        self.was_reset = self.was_reset or not self.ended
        super().abort()


class Requests:
    """Takes all requests of a stream, and writes them down."""

    limits = LIMITS
    descriptor: int | None = None
    in_request = False

    def __init__(self, of_all: list[Request] | None = None) -> None:
        """``of_all`` is where others write theirs down as well."""
        self.whole: list[Request] = []
        self._of_all = [] if of_all is None else of_all
        self.refusal: int | None = None
        self.reader = RequestReader(self, UNBOUNDED, Forgetful())

    def feed(self, data: bytes) -> None:
        if self.refusal is None:
            try:
                self.reader.feed(data)
            except Unreadable as unreadable:
                self.refusal = unreadable.response.status

    def memory_for(self, head: Head) -> memoryview | None:
        return None

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        return True

    def request_received(self, head: Head, body: Body) -> None:
        self.whole.append((head, bytes(body)))
        self._of_all.append(self.whole[-1])

    def body_grew(self, size: int) -> None: ...

    def body_ended(self) -> None: ...


# --- servers ----------------------------------------------------------------------------------------------------------


class ServerWire(Channel):
    """To a server, which reads at once, as long as it is there."""

    def __init__(self, client: Client, requests: Requests) -> None:
        super().__init__(client)
        self._requests = requests
        self.is_read = True
        self.acked = 0

    def write(self, data: Any) -> None:
        super().write(data)
        if self.is_read:
            self._requests.feed(bytes(data))
            self.acked = len(self.written)


class ToServer(UpstreamConnection):
    """The socket tells nothing here."""

    wire: ServerWire

    def _acked(self) -> int | None:
        return self.wire.acked


class Server:
    """The other end of one connection. ``is_there``: it reads, and has not closed before anything came."""

    def __init__(self, servers: Servers, chance: random.Random, *, is_there: bool) -> None:
        self._servers = servers
        self._chance = chance
        self.requests = Requests(servers.arrived)
        self._answered = 0
        self._pieces: list[bytes] = []
        self._lost = False
        self._closes = False
        """With the last piece of its answer."""
        self.connection = ToServer(servers, ("server", 80), made_at=0.0)
        self.wire = ServerWire(Client(self.connection, chance), self.requests)
        self.wire.is_read = is_there
        self.connection.wire = self.wire
        self.connection.connection_made(self.wire)

    def go_on(self) -> bool:
        """Do the next thing. Whether there was any."""
        if self._lost:
            return False
        if self.wire.ended or (not self.wire.is_read and not self._pieces):
            self.lose()
            return True
        if self.wire.client.read_on():
            return True
        if self._pieces:
            if not self.wire.reading:
                return False
            piece = self._pieces.pop(0)
            self.wire.is_read = bool(self._pieces) or not self._closes
            self.connection.data_received(piece)
            if self._pieces and self.connection._asking is None and not self.wire.ended:
                self.connection.data_received(b"".join(self._pieces))  # later, it would be the next answer
                self._pieces = []
            return True
        begins = (
            self.requests.in_request
            and self.requests.reader.head is not None
            and self._answered == len(self.requests.whole)  # once: with two, the second may be the end of the first
        )
        if not self.has_answered:
            self._answer(self.requests.whole[self._answered][0])
            return True
        if begins and self._chance.random() < 0.05:
            self._servers.answered_early = True
            self._answer(cast(Head, self.requests.reader.head))
            return True
        return False

    @property
    def has_answered(self) -> bool:
        """All that it has got."""
        return len(self.requests.whole) <= self._answered

    def _answer(self, head: Head) -> None:
        self._answered += 1
        raw = self._servers.next_answer(head)
        self._servers.given.append((head, raw))
        self._pieces = [piece for piece in cut(raw, self._chance) if piece]
        self._closes = bool(self._pieces) and self._chance.random() < 0.3

    def lose(self) -> None:
        """The connection ends."""
        if not self._lost:
            self._lost = True
            if not self.wire.ended:
                self.connection.eof_received()
            self.wire.ended = True
            self.connection.connection_lost(None)


class Servers:
    """Those of one version, in the place of ``Upstream``."""

    revision = 1
    is_down = False

    def __init__(self, answers: list[bytes], chance: random.Random) -> None:
        self.answers = answers
        self.given: list[tuple[Head, bytes]] = []
        """What was answered to what, in order."""
        self.answered_early = False
        self.arrived: list[Request] = []
        """The requests that came whole, in their order."""
        self.all: list[Server] = []
        self._idle: list[UpstreamConnection] = []
        self._chance = chance

    def next_answer(self, head: Head) -> bytes:
        return self.answers.pop(0) if self.answers else OTHERWISE

    def kept_connection(self) -> UpstreamConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Only every other one may not be there: after three the router gives up."""
        is_there = len(self.all) % 2 == 0 or self._chance.random() < 0.8
        self.all.append(Server(self, self._chance, is_there=is_there))
        return self.all[-1].connection

    def keep(self, connection: UpstreamConnection) -> None:
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def go_on(self) -> bool:
        return any(server.go_on() for server in self.all)

    def asked_by(self, forward: object) -> Server | None:
        """The one that has that request."""
        return next((server for server in self.all if server.connection._asking is forward), None)


class OneVersion(Routing):
    """Has all requests go to the same servers."""

    def __init__(self, servers: Servers, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(SETTINGS, loop=loop, metrics=Metrics())
        self._servers = servers

    def choose(self, head: Head) -> Choice | Response:
        return Choice(cast(Upstream, self._servers), None)


# --- one client -------------------------------------------------------------------------------------------------------


class Watched(ClientConnection):
    """Writes down the heads of its requests."""

    def __init__(self, routing: Routing, listener: Listener) -> None:
        super().__init__(routing, listener, scheme=b"http")
        self.heads: list[Head] = []

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        self.heads.append(head)
        return super().head_received(head, expects_continue=expects_continue, has_body=has_body)


class Visit:
    """One client's connection, from its begin to its end. ``late``: which of its requests were given up as late, and
    whether a server had begun to answer them. ``has_left``: the client, before it had all."""

    def __init__(self, answers: list[bytes], chance: random.Random) -> None:
        self._chance = chance
        self._loop = TaskLoop()
        loop = cast(asyncio.AbstractEventLoop, self._loop)
        self.servers = Servers(answers, chance)
        self.routing = OneVersion(self.servers, loop)
        self._listener = Listener(loop, most_connections=8)
        if chance.randrange(2):  # every head has to wait for its turn
            self._listener.turns = Turns(call_soon=self._loop.call_soon, turn_s=0.0)
        self.connection = Watched(self.routing, self._listener)
        self.wire = Channel(Client(self.connection, chance))
        self.late: dict[int, bool] = {}
        self.has_left = False
        self._may_leave = chance.random() < 0.1

    def run(self, stream: bytes) -> None:
        """Send the stream, and have everything happen that follows."""
        self.connection.connection_made(self.wire)
        for piece in cut(stream, self._chance):
            while not (self.wire.reading or self.wire.ended):
                assert self._go_on(), "it reads no more, and nothing is left to be done"
            if not self.wire.was_reset:
                self.connection.data_received(piece)
            for _ in range(self._chance.randrange(6)):
                self._go_on()
            if self._may_leave and self._chance.random() < 0.4:
                self.has_left = True
                self._end()
                break
        while self._go_on():
            pass
        assert not self._owed(), "a request waits for ever"
        for task in self._loop.tasks:
            assert task.cancelled() or task.result() is None
        if not self.has_left:
            self._end()
        assert not self.routing.in_flight, "something is left of a request"
        self._listener.close()

    def close(self) -> None:
        """Nothing is left of it, however it went."""
        for server in self.servers.all:
            server.lose()
            server.wire.socket.close()
        self.wire.socket.close()

    def _end(self) -> None:
        """The connection is gone."""
        self.wire.ended = True
        self.connection.connection_lost(None)

    def _go_on(self) -> bool:
        """Have something happen. Whether there was anything; at last, a server that owes an answer closes, or is given
        up."""
        if (not self.has_left and self.wire.client.read_on()) or self._loop.run_one() or self.servers.go_on():
            return True
        owed = self._owed()
        server = None if owed is None else self.servers.asked_by(owed)
        if owed is None or server is None:
            return False
        if self._chance.random() < 0.3:
            self.late[self.connection.heads.index(owed.head)] = server.has_answered
            owed.overdue()
        else:
            server.lose()
        return True

    def _owed(self) -> Forward | None:
        """A request that has come whole and is not answered."""
        started = [cast(Forward, forward) for forward in self.routing.in_flight]
        return next((forward for forward in started if forward.body_is_whole), None)


def check_one(data: bytes) -> None:
    chance = random.Random(data[:1])
    stream, *answers = map(expand, data[1:].split(SEPARATOR))
    sent = Requests()
    sent.feed(stream)
    visit = Visit(answers, chance)
    try:
        visit.run(stream)
    finally:
        visit.close()
    check_requests(visit, [request for request in sent.whole if not is_own(request[0])])
    if not visit.has_left:
        check_answers(visit, sent)


def is_own(head: Head) -> bool:
    """Whether the router answers by itself."""
    return head.path in OWN_PATHS and head.method in (b"GET", b"HEAD")


def check_requests(visit: Visit, sent: list[Request]) -> None:
    """Servers got the client's requests, each once, and none besides."""
    got = visit.servers.arrived
    assert len(got) <= len(sent), f"{len(got)} requests came of {len(sent)}"
    for server in visit.servers.all:
        assert server.requests.refusal is None, "the router has sent what the scoring server refuses"
    for (head, body), (before, content) in zip(got, sent, strict=False):
        assert (head.method, head.path, head.query, body) == (before.method, before.path, before.query, content)
        assert head.version == "1.1"
        check_headers(head.headers, before.headers)


def check_headers(got: dict[bytes, bytes], sent: dict[bytes, bytes]) -> None:
    """All came but those of one hop, and nothing was made up."""
    dropped = OF_ONE_HOP | named_by(sent.get(b"connection", b""))
    for name, value in sent.items():
        if name not in dropped | MADE:
            assert got.get(name) == value.rstrip(), f"{name!r} was lost"
    made_up = got.keys() - sent.keys() - MADE - {b"host", b"transfer-encoding"}
    assert not made_up, f"{made_up} were made up"
    assert not (got.keys() & dropped) - {b"transfer-encoding"} - MADE


def check_answers(visit: Visit, sent: Requests) -> None:
    """The client got what the servers said, and no answer that is none."""
    reader, given = AnswerReader(bytes(visit.wire.written), is_relayed=True), iter(visit.servers.given)
    for number, (head, _) in enumerate(sent.whole):
        if is_own(head):
            assert reader.read(head.method).status == 200
        elif number in visit.late:
            if visit.late[number]:
                next(given)
            if visit.wire.was_reset and (head.version == "1.0" or not is_there(reader, head.method)):
                return  # the answer had begun
            assert reader.read(head.method).status == 504
        else:
            asked, raw = next(given)
            assert asked.path == head.path
            if not check_answer(visit, reader, head, raw):
                return
        if not head.keep_alive or (visit.servers.answered_early and not reader.data):
            break
        if visit.wire.ended and not reader.data:
            return  # an answer without a length, to a client of HTTP/1.0
    if sent.refusal is not None and not visit.servers.answered_early and visit.wire.ended and reader.data:
        assert plain_status(reader.read(b"GET").status) == plain_status(sent.refusal)
    if not visit.servers.answered_early:
        assert not reader.data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""), f"more was answered: {reader.data!r}"


def check_answer(visit: Visit, reader: AnswerReader, head: Head, raw: bytes) -> bool:
    """One of the servers' answers. Whether others may follow."""
    wanted = read_answer(without_reasons(raw), head.method)
    is_whole, is_doubtful = wanted is not None and wanted.is_whole, TAKEN_BY_H11.search(raw) is not None
    may_break = not is_whole or is_doubtful
    if visit.wire.was_reset and may_break and (head.version == "1.0" or not is_there(reader, head.method)):
        return False  # to a client of HTTP/1.0, the end of such a body is that of the connection, and this is none
    answer = reader.read(head.method)
    if wanted is not None and is_whole and not (answer.status == 502 and is_doubtful):
        assert (answer.status, answer.body) == (wanted.status, wanted.body)
    else:
        assert answer.status == 502, f"{answer} was made of {wanted}"
    return True


def is_there(reader: AnswerReader, method: bytes) -> bool:
    """Whether the next answer is whole."""
    try:
        copy(reader).read(method)
    except AssertionError:
        return False
    return True


def without_reasons(raw: bytes) -> bytes:
    """With reasons that h11 takes: what a server says there is passed on to nobody."""
    before = b""
    while (line := STATUS_LINE.match(raw)) is not None:
        before += b"HTTP/1.%b %b OK\r\n" % (line[1], line[2])
        end = raw.find(b"\r\n\r\n", line.end() - 2) + 4
        if not line[2].startswith(b"1") or end < 4:
            return before + raw[line.end() :]
        before, raw = before + raw[line.end() : end], raw[end:]
    return before + raw

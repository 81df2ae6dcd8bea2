"""Any split of a byte stream into reads gives the same requests."""

from __future__ import annotations

import itertools
import math
import socket
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport_scoring import Limits
from modelport_scoring.http.arriving import MOST_AHEAD, ArrivingBody
from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.known_heads import ALWAYS_NEW, KnownHeads
from modelport_scoring.http.parser import MOST_AT_ONCE
from modelport_scoring.http.reader import LARGE_BYTES, RequestReader
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.turns import Turns

Seen = tuple[bytes, bytes, bytes, bytes]
UNBOUNDED = Turns(call_soon=lambda _: None, turn_s=math.inf)


@dataclass
class Recorder:
    limits: Limits = field(default_factory=Limits)
    in_request: bool = False
    seen: list[Seen] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    descriptor: int | None = None
    grown: list[int] = field(default_factory=list)

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        return True

    def request_received(self, head: Head, body: Body) -> None:
        self.heads.append(head)
        self.seen.append((head.method, head.path, head.query, bytes(body)))

    def body_grew(self, size: int) -> None:
        self.grown.append(size)

    def body_ended(self) -> None: ...

    def memory_for(self, head: Head) -> memoryview | None:
        """For the bodies of odd lengths."""
        return memoryview(bytearray(head.length)) if head.length and head.length % 2 else None


def reader_for(recorder: Recorder, known: KnownHeads | None = None) -> RequestReader:
    return RequestReader(recorder, UNBOUNDED, KnownHeads() if known is None else known)


def read(pieces: list[bytes], known: KnownHeads | None = None) -> tuple[list[Seen], int | None]:
    """The requests, and the status of the refusal that ended them."""
    recorder = Recorder()
    reader = reader_for(recorder, known)
    try:
        for piece in pieces:
            reader.feed(piece)
    except Unreadable as unreadable:
        return recorder.seen, unreadable.response.status
    return recorder.seen, None


def with_length(path: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(body)) + body


def with_chunks(path: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    chunks = [b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body))]
    return head + b"".join(chunks) + b"0\r\n\r\n"


BROKEN = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
paths = st.sampled_from([b"/score", b"/", b"/score?a=1&b=%20", b"/nothing"])
LARGE = [with_length(b"/score", Random(size).randbytes(size)) for size in (LARGE_BYTES - 1, LARGE_BYTES, 100_000)]
requests = st.one_of(
    st.builds(with_length, paths, st.binary(max_size=40)),
    st.sampled_from(LARGE),
    st.builds(with_chunks, paths, st.binary(max_size=10)),
    st.just(BROKEN),
)


def cut(stream: list[bytes], data: st.DataObject) -> list[bytes]:
    whole = b"".join(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


class Forgetful(KnownHeads):
    """Knows no head, so that the parser reads every request."""

    def learn(self, raw: bytes, head: Head) -> None:
        pass


# --- known heads change nothing ---------------------------------------------------------------------------------------


@given(st.lists(requests, max_size=5), st.data())
def test_any_split_gives_the_same_requests(stream: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(stream)
    pieces = cut(stream, data)
    assert read(pieces) == read([whole])
    expected = stream.index(BROKEN) if BROKEN in stream else len(stream)
    assert len(read([whole])[0]) == expected


odd = st.sampled_from(
    [
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\n\r\n\r\nabc",
        b"POST /score HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /score HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ]
)


@given(st.lists(st.lists(st.one_of(requests, odd), max_size=6), min_size=1, max_size=3), st.data())
def test_known_heads_change_nothing(streams: list[list[bytes]], data: st.DataObject) -> None:
    known = KnownHeads()
    for stream in [*streams, *streams]:
        assert read(cut(stream, data), known) == read([b"".join(stream)], Forgetful())


def test_a_known_head_passes_the_parser_by() -> None:
    known = KnownHeads()
    read([with_length(b"/score", b"abc")], known)
    assert len(known) == 1
    (head,) = known.values()
    head.path = b"/marked"
    assert read([with_length(b"/score", b"def")], known)[0] == [(b"POST", b"/marked", b"", b"def")]


@pytest.mark.parametrize("name", ALWAYS_NEW)
def test_a_head_with_an_id_of_its_own_is_not_remembered(name: bytes) -> None:
    """It is not seen again, and would push out those that are."""
    known, request = KnownHeads(), b"GET / HTTP/1.1\r\nHost: x\r\n%b: 1\r\n\r\n"
    assert read([request % name], known)[1] is None
    assert not known
    assert read([request % b"X-Other"], known)[1] is None
    assert len(known) == 1


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])
def test_empty_lines_before_a_request_are_no_head_that_is_remembered(before: bytes) -> None:
    """Two of them, from whoever, would be a request with the head, and the key, of somebody else."""
    known = KnownHeads()
    assert read([before + with_length(b"/score", b"")], known)[0] == [(b"POST", b"/score", b"", b"")]
    assert not [raw for raw in known if not raw.startswith(b"POST /score ")]
    assert read([b"\r\n\r\n"], known)[0] == []


def test_another_head_of_the_same_length_is_not_taken_for_the_last_one() -> None:
    known, first, second = KnownHeads(), with_length(b"/score", b"abc"), with_length(b"/other", b"abc")
    seen, _ = read([first, second, first, second, second[:-3], second[-3:]], known)
    assert [path for _, path, _, _ in seen] == [b"/score", b"/other", b"/score", b"/other", b"/other"]


def test_of_many_requests_in_one_read_some_are_handed_over_at_once() -> None:
    known, recorder = KnownHeads(), Recorder()
    reader = reader_for(recorder, known)
    bodies = [b"%03d" % number for number in range(3 * MOST_AT_ONCE)]
    reader.feed(with_length(b"/score", b"abc"))
    rest = b"".join(with_length(b"/score", body) for body in bodies)
    counts: list[int] = []
    while rest:
        rest = reader.feed_some(rest)
        counts.append(len(recorder.seen) - 1 - sum(counts))
    assert counts == [MOST_AT_ONCE] * 3
    assert [body for *_, body in recorder.seen[1:]] == bodies


@pytest.mark.parametrize("heads", [KnownHeads, Forgetful])
def test_it_is_told_how_far_a_large_body_has_come(heads: Callable[[], KnownHeads]) -> None:
    told: list[int | None] = []

    class Counting(Recorder):
        def body_grew(self, size: int) -> None:
            told.append(size)

        def body_ended(self) -> None:
            told.append(None)

    reader = reader_for(Counting(), heads())
    request = with_length(b"/score", b"x" * 3 * COUNTED_FROM)
    head_size = request.index(b"x" * 10)
    for cuts in ([COUNTED_FROM, COUNTED_FROM + 1, 2 * COUNTED_FROM], [COUNTED_FROM + 1], []):
        whole = [0, *(head_size + cut for cut in cuts), len(request)]
        reader.feed(with_length(b"/score", b"x" * 3 * COUNTED_FROM))  # so that its head is known, if any may be
        told.clear()
        for start, end in itertools.pairwise(whole):
            reader.feed(request[start:end])
        over = [size for size in cuts if size > COUNTED_FROM]
        assert told[: len(over)] == over
        assert told[len(over) :] in ([None], []), "where it comes at once there may be nothing to tell"
        assert not over or told[-1] is None


def expire(known: KnownHeads) -> None:
    for head in known.values():
        head.until = 1.0
    known.forget_expired(2.0)


def learn_anew(known: KnownHeads) -> None:
    (raw,) = known
    known.learn(raw, Head(method=b"POST", target=b"/score", version="1.1", headers={b"content-length": b"3"}))
    known.clear()


@pytest.mark.parametrize("forget", [KnownHeads.clear, expire, learn_anew])
def test_a_forgotten_head_is_not_used_by_those_who_used_it_last(forget: Callable[[KnownHeads], None]) -> None:
    """What permits a request is forgotten with it: a key that has been changed, a token that has run out."""
    known, recorder = KnownHeads(), Recorder()
    reader = reader_for(recorder, known)
    request = with_length(b"/score", b"abc")
    reader.feed(request)
    (head,) = known.values()
    head.path = b"/marked"
    reader.feed(request + request)
    forget(known)
    reader.feed(request + request)
    assert [path for _, path, _, _ in recorder.seen] == [b"/score", b"/marked", b"/marked", b"/score", b"/score"]


@pytest.mark.parametrize(("around", "is_view"), [(0, True), (40_000, True), (150_000, False)])
def test_a_body_keeps_no_more_than_as_much_again(around: int, is_view: bool) -> None:
    """A view of what was read keeps all of it, while only the body counts against the limits of memory."""
    known = KnownHeads()
    bodies: list[Body] = []

    class Keeper(Recorder):
        def request_received(self, head: Head, body: Body) -> None:
            bodies.append(body)

    large, other = with_length(b"/score", b"x" * 100_000), with_length(b"/score", b"y" * around)
    read([large, other], known)
    reader_for(Keeper(), known).feed(large + other)
    assert [len(body) for body in bodies] == [100_000, around]
    assert isinstance(bodies[0], memoryview) is is_view


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    read([noise])
    read([with_length(b"/score", b"abc"), noise])


CLOSE = b"GET /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


# --- where requests end -----------------------------------------------------------------------------------------------


def test_nothing_is_read_after_the_last_request() -> None:
    """RFC 9112, 9.6: no further request of that connection may be processed. Its head may well be known."""
    known = KnownHeads()
    request = with_length(b"/score", b"abc")
    read([request], known)
    for pieces in ([CLOSE, request], [CLOSE + request], [CLOSE + request[:9], request[9:]], [CLOSE, b"nonsense"]):
        assert read(pieces, known) == ([(b"GET", b"/score", b"", b"")], None)


@pytest.mark.parametrize(
    "last",
    [
        b"POST /score HTTP/1.0\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /score HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n"
        b"Content-Length: 3\r\n\r\nabc",
        b"POST /score HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /score HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n",
    ],
)
def test_nothing_is_read_after_a_last_request_for_another_protocol(last: bytes) -> None:
    """Found by fuzzing: what followed in the same read was taken for a request."""
    whole = last + with_length(b"/score", b"abc")
    for cut_at in range(0, len(whole) + 1, 7):
        seen, refused = read([whole[:cut_at], whole[cut_at:]])
        assert (len(seen), refused) == (1, None)


@pytest.mark.parametrize("cut_at", [0, 60, 122, 124])
def test_the_body_of_a_request_that_asks_for_another_protocol_is_its_body(cut_at: int) -> None:
    """As Java's client sends each of its first requests: to the parser, what follows such a head is no body."""
    asks = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    request = with_length(b"/score", b"abc").replace(b"Host: x\r\n", b"Host: x\r\n" + asks)
    chunked = with_chunks(b"/score", b"abc").replace(b"Host: x\r\n", b"Host: x\r\n" + asks)
    stream = request + chunked + request
    seen = (b"POST", b"/score", b"", b"abc")
    assert read([stream[:cut_at], stream[cut_at:]]) == ([seen] * 3, None)


def test_a_tunnel_is_not_made_and_nothing_behind_it_is_a_request() -> None:
    hidden = with_length(b"/score", b"abc")
    assert read([b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden]) == ([], 501)


@pytest.mark.parametrize("line", [b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET /", b"DESCRIBE / RTSP/2.0"])
def test_other_versions_are_refused(line: bytes) -> None:
    assert read([line + b"\r\nHost: x\r\n\r\n"]) == ([], 505)


@pytest.mark.parametrize("protocol", [b"GET /%d RTSP/1.0", b"POST /%d RTSP/1.1", b"SOURCE /%d ICE/1.0"])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_other_protocols_are_refused_wherever_their_names_are_cut(protocol: bytes, size: int) -> None:
    before = b"GET /RTSP/1.0 HTTP/1.1\r\nHost: x\r\nVia: ICE/1.0, a RTSP/1.0\r\n\r\n" + with_length(
        b"/a", b"x RTSP/1.0\r\n"
    )
    stream = b"\r\n" + before + b"\r\n" + protocol % 1 + b"\r\nHost: x\r\n\r\n"
    requests, refused = read([stream[start : start + size] for start in range(0, len(stream), size)])
    assert ([path for _, path, _, _ in requests], refused) == ([b"/RTSP/1.0", b"/a"], 400)


def test_blanks_around_a_value_are_none_of_it() -> None:
    recorder = Recorder()
    reader_for(recorder).feed(b"GET / HTTP/1.1\r\nHost: \t x \t\r\nContent-Length: 0 \r\n\r\n")
    assert recorder.heads[0].headers == {b"host": b"x", b"content-length": b"0"}


@pytest.mark.parametrize("name", [b"Connection", b"Proxy-Connection"])
def test_a_trailer_does_not_speak_of_the_connection(name: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read([head + b"0\r\n%b: close\r\n\r\n" % name]) == ([], 400)


@pytest.mark.parametrize("endless", [b"1;name=", b"0\r\nTrailer: ", b"1" + b"0" * 15, b"0\r\n" + b"a: b\r\n" * 2000])
def test_framing_without_end_is_refused_in_time(endless: bytes) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    filler = b"a: b\r\n" * 2000 if endless.endswith(b"\n") else b"0" * 12_000
    refused_after = [number for number in range(1, 20) if read([head + endless, *[filler] * number])[1] is not None]
    assert refused_after, "it is read for ever"
    assert refused_after[0] < 8


def with_extensions(sizes: list[int]) -> bytes:
    """Chunks of five bytes with such extensions, the last one's and a trailer of that size among them."""
    *inner, last, trailer = sizes
    chunks = [b"5;a=%b\r\n\r\n\r\nx\r\n" % (b"e" * size) for size in inner]
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(chunks) + b"0;a=%b\r\nT: %b\r\n\r\n" % (b"e" * last, b"t" * trailer)


LENGTHS = st.one_of(st.sampled_from([0, 1, 3000, 8000, 33_000, 57_000, 65_000, 70_000]), st.integers(71_500, 74_500))
EXTENSIONS = st.lists(LENGTHS, min_size=2, max_size=4)


@given(EXTENSIONS, st.data())
def test_extensions_and_trailers_are_taken_or_not_whatever_the_split(sizes: list[int], data: st.DataObject) -> None:
    request = with_extensions(sizes)
    whole = read([request])
    assert read(cut([request], data)) == whole
    assert read([request[at : at + 977] for at in range(0, len(request), 977)]) == whole
    assert read([bytes([byte]) for byte in request[:80]] + [request[80:]]) == whole


def test_framing_is_counted_from_the_end_of_the_head_however_that_came() -> None:
    """The one byte more with which it is too much is the same."""
    statuses = []
    for size in range(73_690, 73_710):
        request = with_extensions([size, 0, 0])
        end = request.index(b"\r\n\r\n") + 4
        whole = read([request])
        statuses.append(whole[1])
        assert all(read([request[:at], request[at:]]) == whole for at in range(end - 4, end + 1))
    assert set(statuses) == {None, 431}


@pytest.mark.parametrize(("size", "status"), [(60_000, None), (74_000, 431)])
def test_an_extension_is_as_long_as_a_head_at_most(size: int, status: int | None) -> None:
    assert read([with_extensions([size, 0, 0])])[1] == status


def test_the_smallest_chunks_are_read_and_take_no_more_memory_than_their_bytes() -> None:
    recorder = Recorder()
    reader = reader_for(recorder)
    reader.feed(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    pieces = [b"2\r\nab\r\n" * 10_000] * 20
    tracemalloc.start()
    for piece in pieces:
        reader.feed(piece)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000
    reader.feed(b"0\r\n\r\n")
    assert recorder.seen[0][3] == b"ab" * 200_000


# --- what a head may be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://model.example:80/score", b"model.example:80", b"/score"),
        (b"HTTPS://x", b"x", b"/"),
        (b"http://x?a=1", b"x", b"/"),
        (b"/http://x/score", b"other", b"/http://x/score"),
    ],
)
def test_a_target_may_be_in_absolute_form(target: bytes, host: bytes, path: bytes) -> None:
    recorder = Recorder()
    reader_for(recorder).feed(b"GET %b HTTP/1.1\r\nHost: other\r\n\r\n" % target)
    assert (recorder.heads[0].path, recorder.heads[0].headers[b"host"]) == (path, host)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/score#fragment", b"x"),
        (b"/score", b"a b"),
        (b"/score", b"a/score"),
        (b"/score", b"a@b"),
        (b"/score", b"a?b"),
        (b"http://user:secret@x/score", b"x"),
        (b"http:///score", b"x"),
        (b"https://?a=1", b"x"),
        (b"http://:80/score", b"x"),
    ],
)
def test_targets_and_hosts_that_are_none_are_refused(target: bytes, host: bytes) -> None:
    assert read([b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host)]) == ([], 400)


# --- how long it may be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", with_length(b"/score", b"abc"), with_chunks(b"/score", b"abc")])
def test_a_head_without_end_is_refused_in_time(before: bytes) -> None:
    _, status = read([before, b"GET / HTTP/1.1\r\nHost: x\r\nA: "] + [b"x" * 1000] * 100)
    assert status == 431


@pytest.mark.parametrize("request_", [b"GET /%b HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n"])
def test_a_head_that_is_too_long_may_have_come_at_once(request_: bytes) -> None:
    def status_of(size: int) -> int | None:
        recorder = Recorder(limits=Limits(max_header_bytes=1000))
        try:
            reader_for(recorder).feed(request_ % (b"a" * size))
        except Unreadable as unreadable:
            return unreadable.response.status
        return None

    assert (status_of(950), status_of(1000)) == (None, 431)


def test_a_part_of_a_method_is_not_told_as_one() -> None:
    assert read([b"SMUGGLE / HTTP/1.1\r\nHost: x\r\n\r\n"]) == ([], 405)
    assert read([b"S", b"MUGGLE / HTTP/1.1\r\nHost: x\r\n\r\n"]) == ([], 400)


@pytest.mark.parametrize(("count", "known"), [(62, True), (63, False)])
def test_a_head_with_very_many_headers_is_not_remembered(count: int, known: bool) -> None:
    heads = KnownHeads()
    lines = b"".join(b"%x:\r\n" % number for number in range(count))
    seen, _ = read([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n" + lines + b"\r\na"], heads)
    assert (len(seen), len(heads)) == (1, known)


def test_a_head_that_is_too_long_is_not_read_to_its_end() -> None:
    """One read may bring many times of what is allowed."""
    _, status = read([b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 40_000 + b"\0: that is malformed\r\n\r\n"])
    assert status == 431


@pytest.mark.parametrize("name", [b"a", b"%x"], ids=["of one name", "of many names"])
def test_the_number_of_headers_is_bounded(name: bytes) -> None:
    """Many short ones take much more memory than their bytes."""

    def status_of(count: int) -> int | None:
        lines = b"".join((name % number if b"%" in name else name) + b":b\r\n" for number in range(count))
        return read([b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"])[1]

    assert (status_of(255), status_of(256)) == (None, 431)


def test_repeated_headers_are_joined_in_their_order() -> None:
    recorder = Recorder()
    lines = b"A: 1\r\nB: x\r\na: 2\r\nA:\r\n"
    reader_for(recorder).feed(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert list(recorder.heads[0].headers.items()) == [(b"host", b"x"), (b"a", b"1, 2, "), (b"b", b"x")]


def test_many_whole_requests_are_no_long_head() -> None:
    seen, status = read([with_length(b"/score", b"x" * 30_000)] * 10)
    assert (len(seen), status) == (10, None)


def test_what_follows_a_chunked_body_is_none_of_its_framing() -> None:
    chunked = with_chunks(b"/score", b"abc")
    seen, status = read([chunked[:-5], chunked[-5:], *[with_length(b"/score", b"x" * 30_000)] * 30], Forgetful())
    assert (len(seen), status) == (31, None)


SIZES = st.sampled_from([100, 17_000, 65_536, 262_144, 399_995, 400_065])


@given(st.integers(1, 100), st.lists(SIZES, min_size=30, max_size=30))
def test_large_bodies_behind_one_another(first: int, sizes: list[int]) -> None:
    """A read that ends one body and brings the next head and much of its body belongs to no framing."""
    whole = with_length(b"/score", b"x" * 400_000) * 4
    cuts = [0, first]
    for size in sizes:
        cuts.append(min(cuts[-1] + size, len(whole)))
    pieces = [whole[start:end] for start, end in itertools.pairwise([*cuts, len(whole)])]
    seen, status = read(pieces)
    assert (len(seen), status) == (4, None)


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=20), st.integers(0, 100_000))
def test_memory_is_taken_for_what_has_come(pieces: list[bytes], missing: int) -> None:
    body = ArrivingBody(sum(map(len, pieces)) + missing)
    for number, piece in enumerate(pieces):
        body.add(memoryview(piece))
        if not number:
            assert len(body.whole) == len(piece), "nobody has said that there is room for more"
    came = b"".join(pieces)
    assert len(body) == len(came)
    assert bytes(body.whole[: len(came)]) == came
    assert len(body.whole) <= MOST_AHEAD * len(came)
    if not missing:
        assert bytes(body.whole) == came


@given(
    st.lists(st.sampled_from([0, 10, 70_000, 70_001, 150_000, 400_000, 400_001]), min_size=1, max_size=5),
    st.lists(
        st.tuples(st.sampled_from([20_000, 60_001, 130_000]), st.sampled_from([3_000, 90_000, 256_000])), min_size=1
    ),
    st.booleans(),
)
def test_what_is_read_from_the_socket_at_once_is_what_would_have_come(
    sizes: list[int], steps: list[tuple[int, int]], is_known: bool
) -> None:
    """So many bytes come at a time, and so many are read by the event loop; the reader takes what it likes."""
    requests = [(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size) for size in sizes]
    bodies = [Random(number).randbytes(size) for number, size in enumerate(sizes)]
    stream = memoryview(b"".join(map(b"".join, zip(requests, bodies, strict=True))))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        recorder = Recorder(descriptor=ours.fileno())
        reader = reader_for(recorder)
        if is_known:
            for size in set(sizes):
                reader.feed(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            recorder.seen.clear()
        for come, read in itertools.cycle(steps):
            if stream:
                with suppress(BlockingIOError):
                    stream = stream[theirs.send(stream[:come]) :]
            try:
                reader.feed(ours.recv(read))
            except BlockingIOError:
                if not stream:
                    break
    assert recorder.seen == [(b"POST", b"/score", b"", body) for body in bodies]
    assert not recorder.in_request


def test_of_what_is_read_from_the_socket_at_once_is_told() -> None:
    """Or those who have to keep their pace would seem slow."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        recorder = Recorder(descriptor=ours.fileno())
        reader = reader_for(recorder)
        reader.feed(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(70_000))
        theirs.send(bytes(100_000))
        reader.feed(bytes(150_000))
        assert recorder.grown == [70_000, 220_000, 320_000]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /score HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 400001\r\n\r\n",
        b"POST /score HTTP/1.0\r\nHost: a\r\nContent-Length: 400001\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: x\r\n"
        b"Content-Length: 400001\r\n\r\n",
    ],
)
@pytest.mark.parametrize("first", [100, 3_000, 100_000, 400_000])
def test_what_follows_the_last_request_is_none_behind_a_large_body_too(head: bytes, first: int) -> None:
    body = Random(9).randbytes(400_001)
    whole = head + body + with_length(b"/score", b"more")
    known = KnownHeads()
    read([with_length(b"/score", b"more")], known)
    for heads in (KnownHeads(), known):  # the head of what follows may be known
        seen, status = read([whole[:first], whole[first:], with_length(b"/score", b"still more")], heads)
        assert (seen, status) == ([(b"POST", b"/score", b"", body)], None)


@pytest.mark.parametrize("first", [100, 3_000, 100_000, 400_000])
def test_a_large_body_behind_a_head_that_asks_for_another_protocol(first: int) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 400001\r\n\r\n"
    body = Random(9).randbytes(400_001)
    whole = head + body + with_length(b"/score", b"more")
    seen, status = read([whole[:first], whole[first:]])
    assert ([each[3] for each in seen], status) == ([body, b"more"], None)

"""Streams that are nearly right, which hypothesis writes better than a fuzzer: cut in any way, they mean the same."""

from __future__ import annotations

import json
from array import array
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.answers import AnswerReader
from fuzz.targets import (
    autoscaler,
    clients,
    frames,
    handover,
    http_connection,
    http_reader,
    leaders,
    numbers,
    pool,
    replies,
    revisions,
    router,
    router_clients,
    second_reader,
    supervisor,
    template,
)
from fuzz.targets.http_reader import SEPARATOR
from modelport_scoring.http.response import WITHOUT_BODY, head
from modelport_scoring.serving.script_answers import returned

HEAD = b"%b %b HTTP/%b\r\nHost: x\r\n%b\r\n"
methods = st.sampled_from([b"POST", b"GET", b"HEAD", b"OPTIONS", b"CONNECT"])
targets = st.sampled_from([b"/score", b"/score?a=1", b"/nothing", b"http://x/score", b"*"])
versions = st.sampled_from([b"1.1"] * 6 + [b"1.0"])
fields = st.sampled_from(
    [
        b"",
        b"",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"x-request-id: 1\r\n",
        b"Content-Length: 3\r\n",
        b"A: \t b \t\r\n",
        b"A: b\n",
    ]
)
Body = tuple[int, bytes]
"""Its length, and how it stands in an input."""

UNIT = 256
ONCE = b"\xff\xfe\x00"


def of_size(size: int) -> Body:
    """A long one, written short (``pieces.expand``)."""
    units, rest = divmod(size, UNIT)
    times = [min(UNIT, units - done) for done in range(0, units, UNIT)]
    repeated = [b"x" * UNIT + ONCE[:2] + bytes([count - 1]) for count in times]
    return size, b"".join([ONCE, *repeated, b"x" * rest, ONCE])


sizes = st.sampled_from([2000, 16_384, 65_535, 65_536, 65_537, 131_072, 200_000, 200_001])
bodies = st.one_of(
    st.binary(max_size=40).filter(lambda body: b"\xff" not in body).map(lambda body: (len(body), body)),
    sizes.map(of_size),
)


def with_length(body: Body) -> tuple[bytes, bytes]:
    return b"Content-Length: %d\r\n" % body[0], body[1]


def in_chunks(pieces: list[Body], extension: bytes, trailer: bytes) -> tuple[bytes, bytes]:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (size, extension, piece) for size, piece in pieces if size)
    return b"Transfer-Encoding: chunked\r\n", chunks + b"0\r\n" + trailer + b"\r\n"


framed = st.one_of(
    st.just((b"", b"")),
    st.builds(with_length, bodies),
    st.builds(
        in_chunks,
        st.lists(bodies, max_size=4),
        st.sampled_from([b"", b"", b";a=b", b";a"]),
        st.sampled_from([b"", b"", b"A: b\r\n", b"Connection: close\r\n"]),
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    framing, body = draw(framed)
    return HEAD % (draw(methods), draw(targets), draw(versions), draw(fields) + framing) + body


many = st.builds(lambda one, count: one * count, requests().filter(lambda one: len(one) < 300), st.integers(30, 70))


def plain_request(body: Body) -> bytes:
    """One whose head becomes known."""
    return HEAD % (b"POST", b"/score", b"1.1", with_length(body)[0]) + body[1]


known = st.lists(st.sampled_from([(0, b""), (3, b"abc"), *map(of_size, (2000, 65_536, 131_072))]).map(plain_request))
streams = st.one_of(*[st.lists(requests(), max_size=5).map(b"".join)] * 3, known.map(b"".join), many)
seeds = st.binary(min_size=1, max_size=1)
inputs = st.builds(lambda seed, drawn: seed + SEPARATOR.join(drawn), seeds, st.lists(streams, max_size=3))


@settings(deadline=None)
@given(inputs)
def test_any_split_gives_the_same_requests(data: bytes) -> None:
    http_reader.check_one(data)


@settings(deadline=None)
@given(inputs)
def test_any_split_gives_the_same_answers(data: bytes) -> None:
    http_connection.check_one(data)


doings = st.sampled_from(
    [0x00] * 6 + [0x50] * 6 + [0x80] * 5 + [0xB0, 0xB8, 0xBC, 0xC8, 0xD4, 0xD4, 0xE8, 0xF0, 0xF4, 0xF6]
)
happenings = st.builds(
    lambda *parts: bytes(parts),
    doings,
    st.integers(0, 5),
    st.one_of(st.integers(0, 15), st.sampled_from([1, 0xC1, 0xE1])),
)


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(0, 15), st.lists(happenings, max_size=40).map(b"".join))
def test_every_client_is_answered_and_gone_in_the_end(seed: bytes, kind: int, happened: bytes) -> None:
    clients.check_one(seed + bytes([kind]) + happened)
    router_clients.check_one(seed + bytes([kind]) + happened)


@settings(deadline=None)
@given(streams)
def test_requests_are_what_another_reader_takes_them_for(data: bytes) -> None:
    second_reader.check_one(data)


answer_heads = st.sampled_from([b"", b"", b"A: b\r\n", b"Connection: close\r\n", b"Connection: A\r\nA: b\r\n"])
status_lines = st.sampled_from(
    [b"1.1 200 OK", b"1.0 200 OK", b"1.1 204 No Content", b"1.1 304 Not Modified", b"1.1 500 x", b"1.1 600 "]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Nearly always whole; now and then behind one that is not final, or cut off."""
    framing, body = draw(framed)
    before = draw(st.sampled_from([b""] * 4 + [b"HTTP/1.1 100 Continue\r\n\r\n"]))
    answer = b"%bHTTP/%b\r\n%b%b\r\n%b" % (before, draw(status_lines), draw(answer_heads), framing, body)
    return answer[: draw(st.sampled_from([len(answer)] * 5 + [len(answer) // 2, len(answer) - 1]))]


plain = st.sampled_from(
    [
        b"GET /score HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD /score HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /score HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ]
)
served = st.one_of(*[st.lists(plain, min_size=1, max_size=4).map(b"".join)] * 2, streams)


@settings(max_examples=300, deadline=None)
@given(seeds, served, st.lists(answers(), min_size=1, max_size=5))
def test_a_router_changes_no_request_and_no_answer(seed: bytes, sent: bytes, answered: list[bytes]) -> None:
    router.check_one(seed + SEPARATOR.join([sent, *answered]))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_split_gives_the_same_frames_on_both_sides(data: bytes) -> None:
    frames.check_one(data)


kinds = st.sampled_from([0x00] * 6 + [0x60, 0x6F, 0x70, 0x70, 0x70, 0xB0, 0xC0, 0xC0, 0xD0, 0xE8, 0xF8, 0xFC])
near = st.sampled_from([0, 0, 0, 0, 1, 2, 255])
steps = st.builds(
    lambda *parts: bytes(parts),
    kinds,
    near,
    st.sampled_from([0, 1, 1, 2, 0x40, 0x41, 0x81, 0xC1, 0x10]),
    st.integers(0, 9),
    st.sampled_from([0, 1, 8, 255]),
    st.sampled_from([0, 49, 255]),
)


@settings(deadline=None)
@given(seeds, st.lists(steps, max_size=30).map(b"".join))
def test_each_request_has_one_end_whatever_its_worker_says(seed: bytes, said: bytes) -> None:
    replies.check_one(seed + said)


events = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from([0x00, *[0x06] * 8, 0x48, 0x60, *[0x64] * 12, 0xC0, 0xC8, 0xCB, 0xCD, 0xCD, 0xE0, 0xE8]),
    st.integers(0, 5),
    st.sampled_from([*range(6), 0x90, 0xA8, 0xAA, 0xC0, 0xC2, 0xE0, 0xE2, 0xF1, 0xFF]),
)


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(0, 31), st.lists(events, max_size=40).map(b"".join))
def test_each_request_has_one_end_whatever_its_workers_do(seed: bytes, kind: int, happened: bytes) -> None:
    pool.check_one(seed + bytes([kind]) + happened)


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(0, 159), st.lists(events, max_size=40).map(b"".join))
def test_a_pool_has_the_workers_that_its_load_asks_for(seed: bytes, kind: int, happened: bytes) -> None:
    autoscaler.check_one(seed + bytes([kind]) + happened)


changes = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from(
        [*[0x10] * 9, *[0x60] * 9, *[0xB0] * 3, *[0xE0] * 4, *bytes.fromhex("444aa2a7a8abc2c4cad0d4daeef2f4fc")]
    ),
    st.integers(0, 7),
    st.integers(0, 255),
)


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(0, 127), st.lists(changes, max_size=40).map(b"".join))
def test_each_request_is_answered_by_a_revision_that_may(seed: bytes, kind: int, happened: bytes) -> None:
    revisions.check_one(seed + bytes([kind]) + happened)


orders = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from([*bytes.fromhex("0010202830384048"), *[0x80] * 6, *bytes.fromhex("a4b4c4ccd4e0e8f4fc")]),
    st.integers(0, 255),
    st.integers(0, 255),
)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(0, 31), st.lists(orders, max_size=40).map(b"".join))
def test_a_verb_is_in_force_in_all_processes_or_in_none(seed: bytes, kind: int, happened: bytes) -> None:
    leaders.check_one(seed + bytes([kind]) + happened)


ends = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from([*[0x00] * 9, *[0x68] * 6, 0x60, 0xA0, 0xB0, 0xB8, 0xC0, 0xC8, 0xD8, 0xE4, 0xF4, 0xF8]),
    st.integers(0, 255),
)


@settings(deadline=None)
@given(st.integers(0, 31), st.lists(ends, max_size=80).map(b"".join))
def test_servers_are_followed_and_a_stop_is_one(kind: int, happened: bytes) -> None:
    supervisor.check_one(bytes([kind]) + happened)


mishaps = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from(
        [
            *[0x00] * 8,
            *[0x50] * 6,
            0x80,
            0x88,
            *[0x90] * 3,
            *[0xA4] * 2,
            *[0xC8] * 3,
            *[0xD8] * 3,
            *bytes.fromhex("b0b8c0"),
        ]
    ),
    st.integers(0, 255),
    st.integers(0, 255),
)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(0, 31), st.lists(mishaps, max_size=40).map(b"".join))
def test_each_place_is_filled_whatever_templates_and_forks_do(seed: bytes, kind: int, happened: bytes) -> None:
    template.check_one(seed + bytes([kind]) + happened)


steps = st.builds(
    lambda *parts: bytes(parts),
    st.sampled_from([*range(0, 0xA0, 3), *[0xE0] * 9, *[0xA0] * 9, *[0xC0] * 4, *[0xC8] * 6, *[0xD4] * 3, *[0xF0] * 3]),
    st.integers(0, 255),
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1), st.lists(steps, max_size=60).map(b"".join))
def test_one_supervisor_serves_whoever_comes_and_goes(kind: int, happened: bytes) -> None:
    handover.check_one(bytes([kind]) + happened)


figures = st.one_of(
    st.floats().map(json.dumps),
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from(["-0", "1E5", "1e400", "1e-400", "01", "+1", ".5", "null", "true", '"1"', "[1]"]),
)
flat_rows = st.lists(figures, max_size=4).map(",".join)
bodies_of_numbers = st.one_of(
    flat_rows, st.lists(flat_rows.map("[{}]".format), max_size=4).map(",".join), st.just("[[1,2],[3,4]]")
).map('{{"x":[{}]}}'.format)


@settings(deadline=None)
@given(st.integers(0, 9), bodies_of_numbers)
def test_numbers_are_read_as_json_reads_them(parameter: int, body: str) -> None:
    numbers.check_one(bytes([parameter]) + body.encode())


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_numbers_are_written_as_json_writes_them(sizes: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(), min_size=32, max_size=32))
    numbers.check_one(bytes([numbers.SOME, len(sizes) - 1, *sizes]) + array("d", values).tobytes())


texts = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["a", "Content-Length", "Connection", "Set-Cookie", "x y", "a\r\nb: c", "\x80", " b ", "a\tb"]),
)
names = st.one_of(st.sampled_from(["a", "Set-Cookie", "content-length"]), texts)
values = st.one_of(st.sampled_from(["", "b", "a\r\nb: c", "a\nb", "\x80"]), texts)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=6,
)
codes = st.one_of(st.sampled_from([200, 204, 404]), st.integers(0, 65_535))


@settings(max_examples=300, deadline=None)
@given(codes, st.one_of(st.lists(st.tuples(names, values), max_size=4), json_values), st.binary(max_size=10))
def test_a_client_reads_one_answer_whatever_headers_a_worker_says(code: int, headers: Any, body: bytes) -> None:
    response = returned(code, json.dumps(headers).encode(), body)
    most_lines = max(1, len(headers) if isinstance(headers, list) else 0)
    assert response.lines.count(b"\n") <= most_lines, "a header has broken out of its line"
    sent = head(response, connection=b"", date=b"") + (b"" if response.status in WITHOUT_BODY else bytes(response.body))
    reader = AnswerReader(sent, is_relayed=True)
    assert reader.read(b"GET").status == response.status
    assert not reader.data
    assert 200 <= response.status <= 599

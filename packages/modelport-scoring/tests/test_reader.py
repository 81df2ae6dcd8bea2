"""Any split of a byte stream into reads gives the same requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from modelport_scoring import Limits
from modelport_scoring.http.reader import RequestReader, Unreadable
from modelport_scoring.http.request import Request

Seen = tuple[bytes, bytes, bytes, bytes]


@dataclass
class Recorder:
    limits: Limits = field(default_factory=Limits)
    seen: list[Seen] = field(default_factory=list)

    def head_received(self, request: Request, *, expects_continue: bool, has_body: bool) -> bool:
        return True

    def request_received(self, request: Request) -> None:
        self.seen.append((request.method, request.path, request.query, request.body))


def read(pieces: list[bytes]) -> tuple[list[Seen], int | None]:
    """The requests, and the status of the refusal that ended them."""
    recorder = Recorder()
    reader = RequestReader(recorder)
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
requests = st.one_of(
    st.builds(with_length, paths, st.binary(max_size=40)),
    st.builds(with_chunks, paths, st.binary(max_size=10)),
    st.just(BROKEN),
)


@given(st.lists(requests, max_size=5), st.data())
def test_any_split_gives_the_same_requests(stream: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(pieces) == read([whole])
    expected = stream.index(BROKEN) if BROKEN in stream else len(stream)
    assert len(read([whole])[0]) == expected


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    read([noise])
    read([with_length(b"/score", b"abc"), noise])


def test_a_head_without_end_is_refused_in_time() -> None:
    _, status = read([b"GET / HTTP/1.1\r\nHost: x\r\nA: "] + [b"x" * 1000] * 100)
    assert status == 431


def test_many_whole_requests_are_no_long_head() -> None:
    seen, status = read([with_length(b"/score", b"x" * 30_000)] * 10)
    assert (len(seen), status) == (10, None)

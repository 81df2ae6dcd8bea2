"""Tricks with the framing of requests, each by its name: what is refused, and that nothing behind it is run.

Every trick is tried on a fresh connection, and behind requests whose heads are known by then, which pass the parser by
(ADR 2): in the same write, and in one of its own. Behind each trick stands a request to ``/score`` that must not be
taken for one. Where a case is disputed, the comment names the rule of RFC 9112 (or 9110) that decides.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoring_services import RunningService, Services, read_all, wait_until
from test_http import post, read_answers

COUNTS = """
import time

seen = []

def init(): pass

def run(data):
    if data == "what was seen?":
        said = list(seen)
        seen.clear()
        return said
    seen.append(data)
    if data.startswith("slow"):
        time.sleep(0.3)
    if data.startswith("nap"):
        time.sleep(0.03)
    return data
"""
HOST = b"Host: x\r\n"
SMUGGLED = post(b"smuggled")
START = b"POST /score HTTP/1.1\r\nHost: x\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
WAYS = ("alone", "behind a known head", "in a write of its own")


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that remembers what its script was called with."""
    made = Services(tmp_path_factory.mktemp("counting"))
    yield made.start(COUNTS, limits={"max_header_bytes": 8192, "max_body_bytes": 100_000, "request_timeout_s": 0.5})
    made.end()


def seen_by(service: RunningService) -> list[str]:
    """The bodies that reached the script since this was asked last."""
    answer = service.score("what was seen?")
    assert answer.status == 200
    seen: list[str] = answer.json
    return seen


def send(service: RunningService, trick: bytes, *, way: str) -> list[int]:
    """The statuses of the answers to the trick, up to the end of the connection."""
    known = post(b"known")
    with service.raw_connection() as channel:
        if way == "alone":
            channel.sendall(trick)
        elif way == "behind a known head":
            channel.sendall(known + known + trick)
        else:
            channel.sendall(known)
            channel.recv(65536)
            channel.sendall(known)
            channel.recv(65536)
            channel.sendall(trick)
        statuses = [status for status, _ in read_answers(read_all(channel))]
    before = 2 if way == "behind a known head" else 0
    assert statuses[:before] == [200] * before
    return statuses[before:]


def check(service: RunningService, trick: bytes, *, way: str, expected: list[int], runs: list[str]) -> None:
    seen_by(service)
    assert send(service, trick, way=way) == expected
    assert [body for body in seen_by(service) if body != "known"] == runs


def tricks(*named: tuple[str, int, bytes]) -> pytest.MarkDecorator:
    cases = [pytest.param(status, trick, id=name) for name, status, trick in named]
    return pytest.mark.parametrize(("status", "trick"), cases)


every_way = pytest.mark.parametrize("way", WAYS)


# --- Content-Length ---------------------------------------------------------------------------------------------------


def with_lengths(*values: bytes) -> bytes:
    lines = b"".join(b"Content-Length: %b\r\n" % value for value in values)
    return START + lines + b"\r\nabcde"


@every_way
@tricks(
    ("two different lengths", 400, with_lengths(b"5", b"0")),
    # 6.3: a recipient may take equal ones for one, or refuse. Who is in front of us may take only the first.
    ("two equal lengths", 400, with_lengths(b"5", b"5")),
    ("a list of equal lengths", 400, with_lengths(b"5, 5")),
    ("a list of different lengths", 400, with_lengths(b"5, 0")),
    ("a list with an empty member", 400, with_lengths(b"5,")),
    ("a plus", 400, with_lengths(b"+5")),
    ("hexadecimal", 400, with_lengths(b"0x5")),
    ("negative", 400, with_lengths(b"-1")),
    ("a vertical tab behind", 400, with_lengths(b"5\x0b")),
    ("a form feed in front", 400, with_lengths(b"\x0c5")),
    ("a blank inside", 400, with_lengths(b"5 5")),
    ("an underscore", 400, with_lengths(b"1_0")),
    ("a fraction", 400, with_lengths(b"5.0")),
    ("an exponent", 400, with_lengths(b"5e0")),
    ("digits of another script", 400, with_lengths(b"\xd9\xa5")),
    ("superscript", 400, with_lengths(b"\xb2")),
    ("empty", 400, with_lengths(b"")),
    ("more than 64 bits", 400, with_lengths(b"99999999999999999999999")),
    ("two to the power of 64, and five", 400, with_lengths(b"18446744073709551621")),
    ("larger than the limit", 413, with_lengths(b"9223372036854775807")),
    ("a blank before the colon", 400, START + b"Content-Length : 5\r\n\r\nabcde"),
    ("a tab before the colon", 400, START + b"Content-Length\t: 5\r\n\r\nabcde"),
    ("a NUL in the name", 400, START + b"Content-\x00Length: 5\r\n\r\nabcde"),
    ("a folded value", 400, START + b"Content-Length:\r\n 5\r\n\r\nabcde"),
)
def test_content_length(counting: RunningService, way: str, status: int, trick: bytes) -> None:
    check(counting, trick + SMUGGLED, way=way, expected=[status], runs=[])


@every_way
@pytest.mark.parametrize(
    "value",
    [b"5 ", b" \t5\t", b"0005", b"0" * 5000 + b"5"],
    ids=["blanks behind", "blanks around", "zeros in front", "thousands of zeros in front"],
)
def test_a_content_length_that_is_right(counting: RunningService, way: str, value: bytes) -> None:
    """5.6.3: blanks around a value are none of it. 8.6 of RFC 9110: any number of digits."""
    closing = with_lengths(value).replace(HOST, HOST + b"Connection: close\r\n")
    check(counting, closing + SMUGGLED, way=way, expected=[200], runs=["abcde"])


# --- Transfer-Encoding ------------------------------------------------------------------------------------------------


def with_coding(*lines: bytes, version: bytes = b"1.1") -> bytes:
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"POST /score HTTP/%b\r\nHost: x\r\n%b\r\n0\r\n\r\n" % (version, fields)


TE = b"Transfer-Encoding: "


@every_way
@tricks(
    # 6.1: a server may refuse a request with both, or take the coding; who is in front of us may take the length.
    ("chunked, then a length", 400, with_coding(TE + b"chunked", b"Content-Length: 5")),
    ("a length, then chunked", 400, with_coding(b"Content-Length: 5", TE + b"chunked")),
    ("a length of nothing, and chunked", 400, with_coding(b"Content-Length: 0", TE + b"chunked")),
    # 6.1: 501 for a coding that is not known.
    ("xchunked", 501, with_coding(TE + b"xchunked")),
    ("chunkedx", 501, with_coding(TE + b"chunkedx")),
    ("identity", 501, with_coding(TE + b"identity")),
    ("chunked, identity", 400, with_coding(TE + b"chunked, identity")),
    ("identity, chunked", 501, with_coding(TE + b"identity, chunked")),
    ("gzip, chunked", 501, with_coding(TE + b"gzip, chunked")),
    ("an empty member", 501, with_coding(TE + b",chunked")),
    ("chunked twice in a line", 400, with_coding(TE + b"chunked, chunked")),
    ("chunked in two lines", 400, with_coding(TE + b"chunked", TE + b"chunked")),
    ("chunked, then identity in a line of its own", 400, with_coding(TE + b"chunked", TE + b"identity")),
    ("a parameter", 501, with_coding(TE + b"chunked;q=1")),
    ("quoted", 501, with_coding(TE + b'"chunked"')),
    ("empty", 400, with_coding(TE)),
    # 5.6.3 has a tab taken off; nobody sends one, and what the parser does not understand is refused.
    ("a tab behind", 400, with_coding(TE + b"chunked\t")),
    ("a vertical tab in front", 400, with_coding(TE + b"\x0bchunked")),
    ("a vertical tab behind", 400, with_coding(TE + b"chunked\x0b")),
    ("a blank before the colon", 400, with_coding(b"Transfer-Encoding : chunked")),
    ("a folded value", 400, with_coding(b"Transfer-Encoding:\r\n chunked")),
    ("hidden behind a bare carriage return", 400, with_coding(b"X: y\r" + TE + b"chunked")),
    ("hidden behind a bare line feed", 400, with_coding(b"X: y\n" + TE + b"chunked")),
    # 6.1: a request of HTTP/1.0 with it has framing that is to be mistrusted.
    ("in HTTP/1.0", 400, with_coding(TE + b"chunked", version=b"1.0")),
)
def test_transfer_encoding(counting: RunningService, way: str, status: int, trick: bytes) -> None:
    check(counting, trick + SMUGGLED, way=way, expected=[status], runs=[])


@every_way
@pytest.mark.parametrize(
    "line", [b"tRANSFER-eNCODING: ChUnKeD", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding:chunked"]
)
def test_transfer_encoding_in_any_case_and_behind_any_blanks(counting: RunningService, way: str, line: bytes) -> None:
    """7 and 5.6.3: codings are not case-sensitive, and a tab is a blank."""
    trick = START + b"Connection: close\r\n" + line + b"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    check(counting, trick + SMUGGLED, way=way, expected=[200], runs=["abcde"])


# --- chunks -----------------------------------------------------------------------------------------------------------


@every_way
@tricks(
    ("a size in C's hexadecimal", 400, b"0x5\r\nabcde\r\n0\r\n\r\n"),
    ("a negative size", 400, b"-5\r\nabcde\r\n0\r\n\r\n"),
    ("a signed size", 400, b"+5\r\nabcde\r\n0\r\n\r\n"),
    ("a size with an underscore", 400, b"0_5\r\nabcde\r\n0\r\n\r\n"),
    ("no size", 400, b"\r\nabcde\r\n0\r\n\r\n"),
    ("a blank in front of the size", 400, b" 5\r\nabcde\r\n0\r\n\r\n"),
    # 7.1.1 allows blanks only around the semicolon of an extension, and calls them bad.
    ("a blank behind the size", 400, b"5 \r\nabcde\r\n0\r\n\r\n"),
    ("a blank before the extension", 400, b"5 ;a=b\r\nabcde\r\n0\r\n\r\n"),
    ("a size that overflows 64 bits", 400, b"10000000000000005\r\nabcde\r\n0\r\n\r\n"),
    ("a size of all ones", 400, b"FFFFFFFFFFFFFFFFF\r\nabcde\r\n0\r\n\r\n"),
    ("a bare line feed behind the size", 400, b"5\nabcde\r\n0\r\n\r\n"),
    ("a bare carriage return behind the size", 400, b"5\rabcde\r\n0\r\n\r\n"),
    ("a bare line feed in an extension", 400, b"5;a\nb\r\nabcde\r\n0\r\n\r\n"),
    ("a bare carriage return in an extension", 400, b"5;a\rb\r\nabcde\r\n0\r\n\r\n"),
    ("a NUL in an extension", 400, b"5;\x00\r\nabcde\r\n0\r\n\r\n"),
    ("a chunk that is longer than its size", 400, b"5\r\nabcdeXX0\r\n\r\n"),
    ("a chunk that is shorter than its size", 400, b"5\r\nabc\r\n0\r\n\r\n"),
    ("a chunk with a bare line feed behind it", 400, b"5\r\nabcde\n0\r\n\r\n"),
    ("a last chunk with bare line feeds", 400, b"0\n\n"),
    ("a trailer with a Content-Length", 400, b"0\r\nContent-Length: 5\r\n\r\n"),
    ("a trailer with a Transfer-Encoding", 400, b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("a trailer that keeps the connection", 400, b"0\r\nConnection: keep-alive\r\n\r\n"),
    ("a trailer without a colon", 400, b"0\r\nGET / HTTP/1.1\r\n\r\n"),
    ("a folded trailer", 400, b"0\r\nA: b\r\n c\r\n\r\n"),
    ("an extension that is larger than a head may be", 431, b"5;" + b"a" * 600_000 + b"\r\nabcde\r\n0\r\n\r\n"),
    ("a trailer that is larger than a head may be", 431, b"0\r\nA: " + b"a" * 600_000 + b"\r\n\r\n"),
    ("more than the limit", 413, b"30D41\r\n" + b"a" * 200_001 + b"\r\n0\r\n\r\n"),
)
def test_chunks(counting: RunningService, way: str, status: int, trick: bytes) -> None:
    """In two writes, as a body that is large enough to matter comes."""
    seen_by(counting)
    if way != "alone":
        check(counting, CHUNKED + trick + SMUGGLED, way=way, expected=[status], runs=[])
        return
    with counting.raw_connection() as channel:
        channel.sendall(CHUNKED + trick[:1])
        channel.sendall(trick[1:] + SMUGGLED)
        assert [answer for answer, _ in read_answers(read_all(channel))] == [status]
    assert seen_by(counting) == []


def test_trailers_are_no_headers(counting: RunningService) -> None:
    """RFC 9110, 6.5.1: a trailer is not merged into the head; this one would name another host and an id."""
    trailers = b"Host: y\r\nx-request-id: from-a-trailer\r\nAuthorization: none\r\n"
    received = counting.raw(CHUNKED.replace(HOST, HOST + b"Connection: close\r\n") + b"0\r\n" + trailers + b"\r\n")
    assert read_answers(received)[0][0] == 200
    assert b"from-a-trailer" not in received


# --- lines ------------------------------------------------------------------------------------------------------------


@every_way
@tricks(
    ("bare line feeds", 400, b"POST /score HTTP/1.1\nHost: x\nContent-Length: 5\n\nabcde"),
    ("one bare line feed", 400, b"POST /score HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\nabcde"),
    ("a head that a bare line feed ends", 400, START + b"Content-Length: 5\r\n\nabcde"),
    ("bare carriage returns", 400, b"POST /score HTTP/1.1\rHost: x\rContent-Length: 5\r\rabcde"),
    ("a bare carriage return in a value", 400, START + b"A: b\rc\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a doubled carriage return", 400, START + b"A: b\r\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a folded line", 400, START + b"A: b\r\n c\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a fold behind the request line", 400, b"POST /score HTTP/1.1\r\n Host: x\r\n\r\n"),
    ("a line without a colon", 400, START + b"abc\r\nContent-Length: 5\r\n\r\nabcde"),
    ("an empty name", 400, START + b": b\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a blank in a name", 400, START + b"A b: c\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a name in brackets", 400, START + b"A(b): c\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a name beyond ASCII", 400, START + b"\xc3\xa4: c\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a NUL in a name", 400, START + b"A\x00: b\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a NUL in a value", 400, START + b"A: b\x00\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a control character in a value", 400, START + b"A: b\x01\r\nContent-Length: 5\r\n\r\nabcde"),
    ("no Host", 400, b"POST /score HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"),
    ("two Hosts", 400, START + b"Host: y\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a list of Hosts", 400, b"POST /score HTTP/1.1\r\nHost: x, y\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a Host with a path", 400, b"POST /score HTTP/1.1\r\nHost: x/y\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a Host with a user", 400, b"POST /score HTTP/1.1\r\nHost: a@x\r\nContent-Length: 5\r\n\r\nabcde"),
    ("a header that is larger than the limit", 431, START + b"A: " + b"b" * 9000 + b"\r\n\r\n"),
    ("more headers than the limit", 431, START + b"A: b\r\n" * 2000 + b"\r\n"),
    ("as many header names", 431, START + b"".join(b"a%d:\r\n" % n for n in range(2000)) + b"\r\n"),
    ("a path that is larger than the limit", 431, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("empty lines without end", 431, b"\r\n" * 300_000),
)
def test_lines(counting: RunningService, way: str, status: int, trick: bytes) -> None:
    check(counting, trick + SMUGGLED, way=way, expected=[status], runs=[])


# --- the request line -------------------------------------------------------------------------------------------------


@every_way
@tricks(
    ("authority form", 400, b"POST x:80 HTTP/1.1"),
    ("a tunnel", 501, b"CONNECT x:80 HTTP/1.1"),
    ("a relative path", 400, b"POST score HTTP/1.1"),
    ("the whole server", 400, b"POST * HTTP/1.1"),
    ("a backslash", 400, b"POST \\score HTTP/1.1"),
    ("tabs", 400, b"POST\t/score\tHTTP/1.1"),
    ("a blank in front", 400, b" POST /score HTTP/1.1"),
    ("a blank behind", 400, b"POST /score HTTP/1.1 "),
    ("a blank in the path", 400, b"POST /sc ore HTTP/1.1"),
    ("a NUL in the path", 400, b"POST /sc\x00ore HTTP/1.1"),
    ("a line feed in the path", 400, b"POST /sc\nore HTTP/1.1"),
    ("a DEL in the path", 400, b"POST /score\x7f HTTP/1.1"),
    ("bytes beyond ASCII in the path", 400, b"POST /sc\xc3\xb6re HTTP/1.1"),
    ("a fragment", 400, b"POST /score#a HTTP/1.1"),
    ("a user in the target", 400, b"POST http://a@x/score HTTP/1.1"),
    ("a method in lower case", 400, b"post /score HTTP/1.1"),
    ("HTTP in lower case", 400, b"POST /score http/1.1"),
    # RFC 9110, 2.5 and 15.6.6: another major version is not ours to serve. A higher minor one might be.
    ("HTTP/1.2", 400, b"POST /score HTTP/1.2"),
    ("HTTP/1.10", 400, b"POST /score HTTP/1.10"),
    ("HTTP/2.0", 505, b"POST /score HTTP/2.0"),
    ("HTTP/0.9", 505, b"POST /score HTTP/0.9"),
    ("no version", 505, b"POST /score"),
    ("the preface of HTTP/2", 400, b"PRI * HTTP/2.0\r\n\r\nSM"),
    ("an answer", 400, b"HTTP/1.1 200 OK"),
    ("another protocol", 505, b"DESCRIBE /score RTSP/2.0"),
    ("a version of another protocol", 400, b"POST /score RTSP/1.1"),
)
def test_request_line(counting: RunningService, way: str, status: int, trick: bytes) -> None:
    rest = b"\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
    check(counting, trick + rest + SMUGGLED, way=way, expected=[status], runs=[])


@every_way
def test_the_preface_of_http_2(counting: RunningService, way: str) -> None:
    trick = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED
    check(counting, trick, way=way, expected=[505], runs=[])
    assert b"have the client use HTTP/1.1" in counting.raw(trick)


UNKNOWN_METHOD = b"SMUGGLE /score HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde" + SMUGGLED


@every_way
def test_an_unknown_method(counting: RunningService, way: str) -> None:
    check(counting, UNKNOWN_METHOD, way=way, expected=[405], runs=[])


@every_way
@pytest.mark.parametrize("line", [b"POST  /score HTTP/1.1", b"POST /score  HTTP/1.1"])
def test_several_blanks_in_a_request_line_are_one(counting: RunningService, way: str, line: bytes) -> None:
    """3: a recipient may take any blanks between the parts for one; none of them moves the end of the head."""
    trick = line + b"\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde"
    check(counting, trick, way=way, expected=[200], runs=["abcde"])


@every_way
def test_a_target_in_absolute_form_is_served(counting: RunningService, way: str) -> None:
    """3.2.2: a server must accept it."""
    trick = b"POST http://x/score HTTP/1.1\r\nHost: y\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde"
    check(counting, trick, way=way, expected=[200], runs=["abcde"])


@every_way
@pytest.mark.parametrize(
    "path",
    [
        b"//score",
        b"/score/",
        b"/%73core",
        b"/../score",
        b"/./score",
        b"/score/..",
        b"/a/../score",
        b"/score;x",
        b"/score;a=b?c=d",
        b"/score%00",
        b"/score%20",
        b"/score%0d%0aHost:%20y",
        b"/score%2f",
        b"/score.",
        b"/Score",
        b"/%2e%2e/score",
        b"/..%2fscore",
        b"/http://x/score",
        b"http://x//score",
    ],
)
def test_a_path_is_taken_as_it_is(counting: RunningService, way: str, path: bytes) -> None:
    """No path is another way to write ``/score``: what a proxy lets pass is what is served."""
    trick = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde" % path
    check(counting, trick + SMUGGLED, way=way, expected=[404], runs=[])


# --- the end of requests ----------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(
    "part",
    [
        START[:10],
        START,
        START + b"Content-Length: 50\r\n\r\nabcde",
        START + b"Content-Length: 5\r\n\r\nabcd",
        CHUNKED,
        CHUNKED + b"5\r\nabcde\r\n",
        CHUNKED + b"5\r\nabcde\r\n0\r\n",
        CHUNKED + b"5\r\nabcde\r\n0\r\nA: b\r\n",
    ],
    ids=["request line", "head", "body", "body but one", "no chunk", "no last chunk", "no empty line", "trailers"],
)
def test_a_request_that_ends_early_is_none(counting: RunningService, way: str, part: bytes) -> None:
    """8: what is not whole is not processed. Neither where the client goes, nor where it waits."""
    seen_by(counting)
    with counting.raw_connection() as channel:
        channel.sendall((b"" if way == "alone" else post(b"known")) + part)
        if way == "in a write of its own":
            assert [status for status, _ in read_answers(read_all(channel))] == [200, 408]
        else:
            channel.shutdown(socket.SHUT_WR)
            read_all(channel)
    assert [body for body in seen_by(counting) if body != "known"] == []


@pytest.mark.parametrize(
    "last", [b"Connection: close\r\n", b"Connection: keep-alive, close\r\n", b"connection: CLOSE\r\n"]
)
def test_nothing_behind_connection_close_is_run(counting: RunningService, last: bytes) -> None:
    """9.6: not while the last request is still being worked on either, and with a head that is known."""
    seen_by(counting)
    with counting.raw_connection() as channel:
        channel.sendall(SMUGGLED)
        channel.recv(65536)
        channel.sendall(post(b"slow", headers=last))
        wait_until(lambda: counting.status.requests_in_flight == 1, what="it is being worked on")
        channel.sendall(SMUGGLED + SMUGGLED[:20])
        channel.sendall(SMUGGLED[20:])
        answers = read_answers(read_all(channel))
    assert answers == [(200, b'"slow"')]
    assert seen_by(counting) == ["smuggled", "slow"]


def test_a_thousand_pipelined_requests_are_each_run_once(counting: RunningService) -> None:
    seen_by(counting)
    bodies = [f"{number:05}" for number in range(1000)]
    with counting.raw_connection() as channel, ThreadPoolExecutor(1) as pool:
        stream = b"".join(post(body.encode()) for body in bodies) + post(b"last!", headers=b"Connection: close\r\n")
        sending = pool.submit(channel.sendall, stream)
        answers = read_answers(read_all(channel))
        sending.result()
    assert [body for _, body in answers] == [b'"%b"' % body.encode() for body in (*bodies, "last!")]
    assert seen_by(counting) == [*bodies, "last!"]


def test_a_request_that_we_do_not_read_yet_is_not_late(counting: RunningService) -> None:
    """Half of it has come, and the rest is not read before those in front of it have their answers."""
    bodies = [f"nap {number:02}" for number in range(34)]
    stream = b"".join(post(body.encode()) for body in bodies) + post(b"last", headers=b"Connection: close\r\n")
    seen_by(counting)
    with counting.raw_connection(patience_s=30.0) as channel:
        channel.sendall(stream[: -len(stream) // 70])
        wait_until(lambda: counting.status.requests_in_flight > 0, what="it has begun")
        channel.sendall(stream[-len(stream) // 70 :])
        answers = [status for status, _ in read_answers(read_all(channel))]
    assert answers == [200] * 35
    assert seen_by(counting) == [*bodies, "last"]


# --- known heads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poison", "statuses"),
    [
        # To the parser, each of these ends elsewhere than at its first empty line, or means something that its bytes
        # alone do not say. A later client that sends the same bytes must not get what was made of them here.
        (b"\r\n\r\n" + post(b"first"), [200]),
        (post(b"first", headers=b"A: b\n"), [400]),
        (post(b"first", version=b"1.0", headers=b"Connection: keep-alive\r\n"), [200]),
        (post(b"first", headers=b"Connection: upgrade\r\nUpgrade: h2c\r\n"), [200]),
        (START + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n", [200]),
        (post(b"first", headers=b"x-request-id: once\r\n"), [200]),
        (b"PUT" + post(b"first")[4:], [405]),
        (post(b"first", headers=b"A: " + b"b" * 3000 + b"\r\n"), [200]),
    ],
    ids=["empty lines", "bare line feed", "HTTP/1.0", "upgrade", "chunked", "id", "refused", "long"],
)
def test_heads_that_are_not_to_be_known(counting: RunningService, poison: bytes, statuses: list[int]) -> None:
    last = post(b"after", headers=b"Connection: close\r\n")
    seen_by(counting)
    for _ in range(3):
        answers = [status for status, _ in read_answers(counting.raw(poison + last))]
        assert answers == (statuses if statuses == [400] else [*statuses, 200])
    assert seen_by(counting) == (["first"] * (statuses == [200]) + ["after"] * (statuses != [400])) * 3


def test_one_more_byte_makes_another_head(counting: RunningService) -> None:
    """A known head, and then the same one with something behind its last line: nothing of it is taken for granted."""
    known = post(b"known")
    seen_by(counting)
    longer = known.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    answers = read_answers(counting.raw(known + known + longer + SMUGGLED))
    assert [status for status, _ in answers] == [200, 200, 400]
    assert seen_by(counting) == ["known", "known"]


def test_a_known_head_inside_a_body_is_a_body(counting: RunningService) -> None:
    inner = post(b"known")
    seen_by(counting)
    stream = inner + inner + post(inner) + post(inner) + post(b"last", headers=b"Connection: close\r\n")
    assert [status for status, _ in read_answers(counting.raw(stream))] == [200] * 5
    assert seen_by(counting) == ["known", "known", inner.decode(), inner.decode(), "last"]

"""Every byte at every place where public collections of smuggled requests put one (defparam/smuggler, for example): at
the name and the value of a Transfer-Encoding, alone and beside a Content-Length. No two readers may find
different ends.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator

import pytest

from scoring_services import RunningService, Services, read_all
from test_http import post, read_answers
from test_smuggling import COUNTS, seen_by

BODY = b"0\r\n\r\n" + post(b"smuggled")
"""By its chunks, it ends before the next request; by its length, behind that."""

TOKEN = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
"""What a name consists of: with one more of them it is another header's."""

PLACES: dict[str, Callable[[bytes], bytes]] = {
    "before the name": lambda byte: byte + b"Transfer-Encoding: chunked",
    "in the name": lambda byte: b"Transfer" + byte + b"-Encoding: chunked",
    "behind the name": lambda byte: b"Transfer-Encoding" + byte + b": chunked",
    "before the value": lambda byte: b"Transfer-Encoding:" + byte + b"chunked",
    "behind the value": lambda byte: b"Transfer-Encoding: chunked" + byte,
    "at the end of the header before": lambda byte: b"X: x" + byte + b"Transfer-Encoding: chunked",
}
OF_NAMES = ("before the name", "in the name", "behind the name")


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("bytes"))
    yield made.start(COUNTS, limits={"request_timeout_s": 1})
    made.end()


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_no_byte_hides_where_a_request_ends(counting: RunningService, place: str, with_length: bool) -> None:
    seen: dict[int, list[int]] = {}
    for number in range(256):
        seen[number] = statuses_of(counting, PLACES[place](bytes([number])), with_length=with_length)
    served = {number for number, statuses in seen.items() if statuses == [200]}
    assert {tuple(statuses) for statuses in seen.values()} <= {(200,), (400,), (501,)}
    if place in OF_NAMES:
        ends_it = set(b":") if place == "in the name" else set()
        assert served == TOKEN | ends_it, "another header's name: the length alone counts"
    elif place == "at the end of the header before":
        assert served == set(range(256)) - set(range(32)) - {127} | {9}, "all of it is one header's value"
    else:
        blanks = set(b" \t") if place == "before the value" else set(b" ")  # the parser takes no tab behind it
        assert served == (set() if with_length else blanks)
    assert set(seen_by(counting)) <= {BODY.decode(), ""}


def statuses_of(service: RunningService, line: bytes, *, with_length: bool) -> list[int]:
    """What is answered on a connection with that line among the headers of its one request."""
    length = b"Content-Length: %d\r\n" % len(BODY) if with_length else b""
    head = b"POST /score HTTP/1.1\r\nHost: x\r\n%b\r\n%bConnection: close\r\n\r\n" % (line, length)
    with service.raw_connection() as channel:
        channel.sendall(head + BODY)
        return [status for status, _ in read_answers(read_all(channel))]

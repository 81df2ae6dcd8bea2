"""The memory that bodies take while they are received is bounded for all connections together, and fairly."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport_scoring.http.budget import PACE_S, READ_BYTES, Budget
from modelport_scoring.settings.service import Limits
from modelport_scoring.settings.share import WHOLE, Share
from routers import RunningRouter
from scoring_services import RunningService, Services, ask, read_all, wait_until
from tls_services import secured, with_certificate

MB = 1_000_000
LIMITS = {"max_buffered_bytes": 4 * MB, "max_body_bytes": 8 * MB, "request_timeout_s": 20}
COUNT = "def init(): pass\ndef run(data): return len(data)"
KNOWN = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
UNKNOWN = b"POST /score HTTP/1.1\r\nHost: a\r\nX-Request-Id: u\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"


# --- the account ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Client:
    budget: Budget
    limits: Limits
    address: bytes = b"192.0.2.1"
    is_held_back: bool = False
    is_given_up: bool = False
    size: int = 0

    def hold_back(self, held_back: bool) -> None:
        self.is_held_back = held_back

    def give_up(self) -> None:
        self.is_given_up = True
        self.budget.ended(self)

    def send(self, size: int, length: int | None) -> bool:
        self.size += size
        return self.budget.grew(self, size=self.size, length=length)


@dataclass
class Account:
    limits: Limits = field(default_factory=lambda: Limits(max_buffered_bytes=8 * MB))
    share: Share = WHOLE
    now: float = 100.0
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(share=self.share, now=lambda: self.now)

    def client(self, address: bytes = b"192.0.2.1") -> Client:
        made = Client(self.budget, self.limits, address)
        self.clients.append(made)
        return made

    def begin(self, *lengths: int | None) -> list[Client]:
        """Clients that have sent 100 KB of bodies so long."""
        clients = [self.client() for _ in lengths]
        for client, length in zip(clients, lengths, strict=True):
            assert client.send(100_000, length)
        return clients


def held_back(clients: list[Client]) -> list[bool]:
    return [client.is_held_back for client in clients]


def test_those_for_whom_there_is_room_come_first_and_the_others_in_their_order() -> None:
    account = Account()
    clients = account.begin(5 * MB, 5 * MB, 5 * MB, 1 * MB)
    assert held_back(clients) == [False, False, True, True], "the small one does not overtake"
    account.budget.ended(clients[0])
    assert held_back(clients) == [False, False, False, False]


def test_the_oldest_goes_on_whatever_it_takes() -> None:
    account = Account()
    oldest, other = account.begin(50 * MB, 6 * MB)
    for _ in range(3):
        assert oldest.send(10 * MB, 50 * MB)
        assert held_back([oldest, other]) == [False, False]


def test_a_body_of_unknown_length_takes_room_as_it_comes() -> None:
    account = Account()
    oldest, first, second = account.begin(MB, None, None)
    assert first.send(4 * MB, None)
    assert second.send(4 * MB, None)
    assert held_back([oldest, first, second]) == [False, False, True]
    account.budget.ended(first)
    assert held_back([oldest, second]) == [False, False]


def test_what_more_may_come_of_an_unknown_length_is_kept_free() -> None:
    account = Account()
    room = 7 * MB - 100_000 - READ_BYTES
    assert held_back(account.begin(MB, None, room + 1)) == [False, False, True]
    assert held_back(Account().begin(MB, None, room)) == [False, False, False]


@pytest.mark.parametrize(("whole", "share"), [(40 * MB, WHOLE), (160 * MB, Share(process=1, processes=4))])
def test_only_so_many_wait(whole: int, share: Share) -> None:
    account = Account(limits=Limits(max_buffered_bytes=whole), share=share)
    account.begin(100 * MB, 35 * MB)
    waiting = [account.client() for _ in range(12)]
    answers = [client.send(250_000, MB) for client in waiting]
    assert answers == [True] * 10 + [False] * 2, "one address has half of the line"
    others = [account.client(b"192.0.2.%d" % number) for number in range(2, 14)]
    assert [client.send(250_000, MB) for client in others] == [True] * 10 + [False] * 2
    assert account.budget.is_full(account.limits)


def test_who_has_no_room_yet_comes_before_those_who_have() -> None:
    account = Account()
    first, second, *waiting = account.begin(5 * MB, 5 * MB, 2 * MB, 2 * MB)
    other = account.client(b"192.0.2.2")
    assert other.send(100_000, 5 * MB)
    account.budget.ended(second)
    assert held_back([first, other, *waiting]) == [False, False, False, True]


def test_what_still_comes_of_those_who_wait_is_counted() -> None:
    account = Account(limits=Limits(max_buffered_bytes=40 * MB))
    account.begin(100 * MB, 35 * MB)
    for _ in range(2):  # nothing of the first ones is left
        waiting = [account.client() for _ in range(10)]
        for client in waiting:
            assert client.send(100_000, MB)
            assert client.send(150_000, MB), "it was on its way"
        assert not account.client().send(100_000, MB), "one address has half of the line"
        for client in waiting:
            account.budget.ended(client)


def test_of_one_address_one_after_the_other_has_room() -> None:
    account = Account()
    _, second = account.begin(5 * MB, 6 * MB)
    many = [account.client(b"192.0.2.3") for _ in range(3)]
    single = account.client(b"192.0.2.2")
    for client, length in [*((each, 2 * MB) for each in many), (single, 5 * MB)]:
        assert client.send(100_000, length)
    assert held_back([*many, single]) == [True] * 4
    account.budget.ended(second)
    assert held_back([*many, single]) == [False, True, True, False]


def test_bodies_of_later_requests_are_bounded_but_for_the_first() -> None:
    limits = Limits(max_queue_bytes=4 * MB)
    for share, most in ((WHOLE, 4 * MB), (Share(process=0, processes=2), 2 * MB)):
        budget = Account(share=share).budget
        assert budget.put_off(5 * MB, limits), "one may be as long as it is"
        assert not budget.put_off(1, limits)
        budget.taken_up(5 * MB)
        assert budget.put_off(most - 1, limits)
        assert budget.put_off(1, limits)
        assert not budget.put_off(1, limits)


def test_who_waits_is_given_up_in_the_end() -> None:
    account = Account()
    oldest, second, waiting = account.begin(7 * MB, 7 * MB, 7 * MB)
    for _ in range(4):
        account.now += 10
        for client in (oldest, second):
            client.send(MB + MB // 2, 7 * MB)
        account.budget.look()
    assert [each.is_given_up for each in (oldest, second, waiting)] == [False, False, True]
    assert not waiting.is_held_back, "or nobody would see that it goes"


def test_who_comes_too_slowly_is_given_up_only_while_others_wait() -> None:
    account = Account()
    slow, even = account.begin(7 * MB, 6 * MB)
    account.now += 50
    account.budget.look()
    assert not slow.is_given_up, "nobody waits"
    (waiting,) = account.begin(2 * MB)
    for _ in range(3):
        account.now += 1
        slow.send(10_000, 7 * MB)
        even.send(110_000, 6 * MB)
        account.budget.look()
    assert [slow.is_given_up, even.is_given_up, waiting.is_held_back] == [True, False, False]


def test_who_came_fast_once_is_given_up_where_nothing_comes_any_more() -> None:
    account = Account()
    one, other = account.begin(7 * MB, 6 * MB)
    (waiting,) = account.begin(2 * MB)
    account.now += PACE_S
    one.send(4 * MB, 7 * MB)
    other.send(4 * MB, 6 * MB)
    account.budget.look()
    assert not one.is_given_up
    account.now += PACE_S
    account.budget.look()
    assert [one.is_given_up, other.is_given_up, waiting.is_held_back] == [True, False, False]


def test_the_time_of_who_waited_begins_when_it_goes_on() -> None:
    account = Account()
    oldest, second, first, last = account.begin(7 * MB, 7 * MB, 6 * MB, 6 * MB)
    account.now += 3 * PACE_S
    oldest.send(4 * MB, 7 * MB)
    account.budget.ended(second)
    assert held_back([first, last]) == [False, True]
    account.now += PACE_S / 2
    account.budget.look()
    assert not first.is_given_up
    account.now += PACE_S
    oldest.send(MB, 7 * MB)
    account.budget.look()
    assert first.is_given_up


def test_each_process_has_its_part() -> None:
    account = Account(share=Share(process=1, processes=4))
    assert held_back(account.begin(MB, MB, MB)) == [False, False, True]


MOVES = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["send", "end", "wait"]), st.booleans()), max_size=60)


@settings(max_examples=200)
@given(MOVES)
def test_whatever_comes_somebody_may_go_on_and_there_is_no_more_than_may_be(moves: list[tuple[int, str, bool]]) -> None:
    account = Account(limits=Limits(max_buffered_bytes=4 * MB))
    open_: dict[int, tuple[Client, int | None]] = {}
    for place, move, told in moves:
        if move == "wait":
            account.now += 1.5
            account.budget.look()
        elif place not in open_:
            client, length = account.client(), 2 * MB if told else None
            if client.send(150_000, length):
                open_[place] = client, length
        elif move == "end":
            account.budget.ended(open_.pop(place)[0])
        elif not open_[place][0].is_held_back and open_[place][0].size < 2 * MB - READ_BYTES:
            assert open_[place][0].send(READ_BYTES, open_[place][1])
        open_ = {place: each for place, each in open_.items() if not each[0].is_given_up}
        clients = [client for client, _ in open_.values()]
        assert not clients or not all(held_back(clients))
        assert sum(client.size for client in clients) <= 4 * MB + 2 * MB
    for client, _ in open_.values():
        account.budget.ended(client)
    assert (account.budget._granted, account.budget._line, account.budget._waiting) == ({}, {}, 0)


# --- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("budget"))
    running = made.start(COUNT, limits=LIMITS)
    with running.raw_connection() as channel:
        for length in (MB, 1):  # heads that are known from now on
            channel.sendall(KNOWN % length + bytes(length))
            assert channel.recv(1000).startswith(b"HTTP/1.1 200 ")
    yield running
    made.end()


def send_what_goes(channel: socket.socket, data: bytes) -> None:
    """As much of it as the system takes within a moment."""
    channel.settimeout(0.05)
    with suppress(TimeoutError, BlockingIOError, ssl.SSLError):
        channel.sendall(data)
    channel.settimeout(20)


def stall(channel: socket.socket, head: bytes, *, size: int = MB) -> socket.socket:
    """Announce a body, and send all of it but a little."""
    channel.sendall(head % size)
    send_what_goes(channel, bytes(size - 1000))
    return channel


def assert_honest_are_served(connect: Callable[[], socket.socket], stalled: list[socket.socket]) -> None:
    """Small requests at once, large ones after the stalled ones have been refused."""
    with ThreadPoolExecutor(1) as pool, connect() as channel:

        def upload() -> float:
            channel.settimeout(20)
            began = time.monotonic()
            channel.sendall(KNOWN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % MB + bytes(MB))
            assert read_all(channel).endswith(b"\r\n\r\n%d" % MB)
            return time.monotonic() - began

        uploaded = pool.submit(upload)
        took_s = []
        for _ in range(20):
            began = time.monotonic()
            with connect() as small:
                small.sendall(b"POST /score HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n12")
                assert read_all(small).endswith(b"\r\n\r\n2")
            took_s.append(time.monotonic() - began)
        assert max(took_s) < uploaded.result() / 2, "none of them waits as the large one does"
    refused = read_all(stalled[0])
    assert refused.startswith(b"HTTP/1.1 503 ") and b"limits.max_buffered_bytes is " in refused
    assert b"\r\nretry-after: 1\r\n" in refused.lower()


def test_small_requests_are_answered_and_large_ones_wait_while_others_hold_what_there_is(
    service: RunningService,
) -> None:
    with ExitStack() as stack:
        heads = [KNOWN, UNKNOWN, CHUNKED, KNOWN, UNKNOWN, CHUNKED]
        stalled = [stall(stack.enter_context(service.raw_connection()), head) for head in heads]
        assert_honest_are_served(service.raw_connection, stalled)
    assert service.log.count("received take too much memory (limits.max_buffered_bytes)\n") == 1, "others are counted"


def test_the_same_below_tls(services: Services) -> None:
    service, context = with_certificate(services, COUNT, limits=LIMITS)
    with ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(secured(service, context))

        stalled = [stall(connect(), head) for head in [KNOWN, UNKNOWN, CHUNKED, KNOWN, KNOWN, KNOWN]]
        assert_honest_are_served(connect, stalled)


def test_the_same_through_a_router_whose_server_has_room(services: Services, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{services.start(COUNT).settings.port}"
    router = RunningRouter(tmp_path, {1: url}, limits={**LIMITS, "max_buffered_bytes": 2 * MB}, front_end="own")
    router.start()
    try:
        with ExitStack() as stack:

            def connect() -> socket.socket:
                return stack.enter_context(socket.create_connection(("127.0.0.1", router.port), timeout=20))

            stalled = [stall(connect(), head) for head in [KNOWN, UNKNOWN, CHUNKED, KNOWN, UNKNOWN, CHUNKED]]
            assert_honest_are_served(connect, stalled)
    finally:
        assert router.end() == 0


def test_uploads_that_do_not_fit_together_are_answered_one_after_the_other(service: RunningService) -> None:
    def upload(_: int) -> int:
        connection = service.connect()
        return int(ask(connection, "POST", "/score", body=bytes(7 * MB)).json)

    with ThreadPoolExecutor(7) as pool:
        assert list(pool.map(upload, range(14))) == [7 * MB] * 14


def test_the_server_takes_no_more_memory_than_that(services: Services) -> None:
    service = services.start(COUNT, limits={"max_buffered_bytes": 32 * MB})
    assert service.score("x").status == 200
    status = Path(f"/proc/{service.status.pid}/status")
    before = memory(status, "VmRSS")
    with ExitStack() as stack:
        for _ in range(30):
            stall(stack.enter_context(service.raw_connection()), UNKNOWN, size=8 * MB)
        assert service.score("x").status == 200
        grown = memory(status, "VmHWM") - before
    assert 20 * MB < grown < (32 + 8 + 12) * MB, grown


def test_a_client_that_goes_makes_room(service: RunningService) -> None:
    for _ in range(3):
        with ExitStack() as stack:
            for _ in range(4):
                stall(stack.enter_context(service.raw_connection()), KNOWN)
    wait_until(lambda: upload_s(service) < 0.5, what="an upload that does not wait", patience_s=10)


def upload_s(service: RunningService) -> float:
    began = time.monotonic()
    assert service.score(bytes(MB)).status == 200
    return time.monotonic() - began


def memory(status: Path, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * 1024

"""The memory through which large bodies cross: nothing is lost, shared or kept."""

from __future__ import annotations

import itertools
import mmap
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport_scoring.workers.arena import KEPT_BYTES, LARGEST_BYTES, SMALLEST_BYTES, Arena, Slot, arriving_in
from modelport_scoring.workers.large_bodies import LargeBodies
from modelport_scoring.workers.page import SharedPage
from modelport_scoring.workers.ticket import Ticket
from modelport_worker.frames import NUMBERS, ROW, SHARED, SLOT
from scoring_services import Services

ECHO = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
import os
def init(): pass
@rawhttp
def run(request):
    body = request.get_data()
    if body.startswith(b"crash"):
        os._exit(1)
    if body.startswith(b"more"):
        body = body * 2
    return AMLResponse(body, 200, {"Content-Type": "image/png"})
"""
PAGE = mmap.PAGESIZE


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, PAGE + 32 * 1024 * 1024) as made:
        yield made


def test_slots_do_not_overlap(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    slots = [slot for number in range(40) if (slot := arena.put(bytes([number]) * (SMALLEST_BYTES + number)))]
    for number, slot in enumerate(slots):
        length = SMALLEST_BYTES + number
        assert arena.view(slot, length) == bytes([number]) * length
        assert slot.offset >= PAGE
    ends = sorted((slot.offset, slot.offset + slot.capacity) for slot in slots)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def test_a_full_arena_says_so_and_recovers(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    taken: list[Slot] = []
    while (slot := arena.put(b"x" * LARGEST_BYTES)) is not None:
        taken.append(slot)
    assert len(taken) == 2
    assert arena.put(b"x" * (LARGEST_BYTES + 1)) is None
    for slot in taken:
        arena.free(slot)
    assert arena.put(b"y" * SMALLEST_BYTES) is not None


def test_a_length_beyond_the_slot_is_refused(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    slot = arena.put(b"x" * SMALLEST_BYTES)
    assert slot is not None
    with pytest.raises(ValueError, match="65537 bytes in a place of 65536"):
        arena.view(slot, SMALLEST_BYTES + 1)


def test_memory_is_given_back() -> None:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, PAGE + 32 * 1024 * 1024)
    with mmap.mmap(descriptor, PAGE + 32 * 1024 * 1024) as memory:
        arena = Arena(memory, start=PAGE)
        slot = arena.put(b"x" * LARGEST_BYTES)
        assert slot is not None
        assert os.fstat(descriptor).st_blocks * 512 >= LARGEST_BYTES > KEPT_BYTES
        arena.give_back()
        assert arena.view(slot, LARGEST_BYTES) == b"x" * LARGEST_BYTES  # it is taken
        arena.free(slot)
        assert os.fstat(descriptor).st_blocks * 512 >= LARGEST_BYTES  # the next one finds its pages there
        arena.give_back()
        assert os.fstat(descriptor).st_blocks * 512 < KEPT_BYTES
        slot = arena.put(b"y" * LARGEST_BYTES)
        assert slot is not None
        assert arena.view(slot, LARGEST_BYTES) == b"y" * LARGEST_BYTES
    arena.give_back()  # of a worker that has gone
    os.close(descriptor)


def test_slots_of_one_size_do_not_keep_others_out(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    first, second = arena.put(b"x" * LARGEST_BYTES), arena.put(b"y" * LARGEST_BYTES)
    assert first is not None
    assert second is not None
    assert arena.put(b"z" * SMALLEST_BYTES) is None
    arena.free(first)
    small = arena.put(b"z" * SMALLEST_BYTES)  # in a larger one
    assert small == first
    arena.free(small)
    arena.free(second)
    many = [arena.put(b"z" * SMALLEST_BYTES) for _ in range(32 * 1024 * 1024 // SMALLEST_BYTES)]
    assert None not in many
    assert len(set(many)) == len(many)


def test_of_larger_slots_the_smallest_is_taken(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    slots = [arena.take(size) for size in (LARGEST_BYTES, LARGEST_BYTES // 2, LARGEST_BYTES // 4, LARGEST_BYTES // 4)]
    assert arena.take(SMALLEST_BYTES) is None
    for slot in slots[:3]:
        assert slot is not None
        arena.free(slot)
    assert arena.take(SMALLEST_BYTES) == slots[2]
    assert arena.take(LARGEST_BYTES) == slots[0]


def test_a_body_has_its_place_until_nobody_holds_it(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    body = arena.receive(100_000)
    assert body is not None
    body[:] = b"a" * 100_000
    part = body[50_000:]
    others = [arena.put(b"b" * 100_000) for _ in range(4)]
    found = arriving_in(body)
    assert found is not None
    assert (found.arena, found.size, arriving_in(part)) == (arena, 100_000, None)
    assert found.slot not in others
    del body
    assert arena.arriving == 1
    assert part == b"a" * 50_000
    del part
    assert arena.arriving == 0
    assert arena.put(b"c" * 100_000) == found.slot


def test_bodies_that_arrive_have_half_of_the_arena(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    bodies = [arena.receive(5_000_000) for _ in range(3)]
    assert [body is None for body in bodies] == [False, False, True]
    assert arena.put(b"x" * LARGEST_BYTES) is not None
    bodies.clear()
    for _ in range(20):
        assert arena.receive(5_000_000) is not None, "what has gone takes none of it"


class Scarce(mmap.mmap):
    """Nothing can be copied there."""

    def __setitem__(self, *what: object) -> None:
        raise MemoryError


@pytest.mark.parametrize("missing", ["place_type", "Arriving"])
def test_a_few_bytes_that_are_missing_cost_no_slot(
    memory: mmap.mmap, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    arena = Arena(memory, start=PAGE)
    for _ in range(3):
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(f"modelport_scoring.workers.arena.{missing}", none_left)
            arena.receive(LARGEST_BYTES)
    assert arena.arriving == 0
    assert arena.receive(LARGEST_BYTES) is not None

    with Scarce(-1, PAGE + LARGEST_BYTES) as scarce:
        full = Arena(scarce, start=PAGE)
        for _ in range(2):
            with pytest.raises(MemoryError):
                full.put(b"x" * LARGEST_BYTES)
        assert full.take(LARGEST_BYTES) is not None


def test_what_is_too_large_for_a_slot_arrives_elsewhere(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    assert arena.receive(LARGEST_BYTES + 1) is None
    assert arena.receive(LARGEST_BYTES) is not None


def test_a_page_may_be_closed_while_a_body_arrives_there() -> None:
    page = SharedPage()
    body = page.arena.receive(100_000)
    assert body is not None
    page.close()
    body[:] = b"x" * 100_000
    assert body == b"x" * 100_000


def request(body: bytes | memoryview, *, flags: int = 0) -> Ticket:
    """As far as it is sent."""
    return cast(Ticket, SimpleNamespace(payload=body, flags=flags, slot=None))


def test_a_place_is_free_once_its_request_is_answered_and_once_only(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    bodies, answered = LargeBodies(arena), request(b"x" * SMALLEST_BYTES, flags=NUMBERS)
    payload, flags = bodies.send(answered)
    assert (SLOT.unpack(payload)[1], flags) == (SMALLEST_BYTES, NUMBERS | SHARED)
    slot = answered.slot
    while arena.put(b"x" * SMALLEST_BYTES) is not None:
        pass
    late = request(b"late", flags=NUMBERS)
    assert bodies.send(late) == (b"late", NUMBERS), "there is no room"
    for _ in range(2):
        bodies.free(answered)
        bodies.free(late)
    assert (arena.take(SMALLEST_BYTES), arena.take(SMALLEST_BYTES)) == (slot, None)


def test_an_answer_is_read_where_its_request_has_its_place(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    bodies, ticket = LargeBodies(arena), request(b"x" * SMALLEST_BYTES)
    _, _, start, room = SLOT.unpack(bodies.send(ticket)[0])
    numbers = ROW.pack(2) + struct.pack("=4d", 1, 2.5, 3, 4)
    memory[start : start + len(numbers)] = numbers
    where = SLOT.pack(start, len(numbers), start, room)
    with memoryview(bodies.receive(ticket, SHARED, where)) as view:
        assert view == numbers
    assert bodies.receive(ticket, SHARED | NUMBERS, where) == b"[[1.0,2.5],[3.0,4.0]]"
    assert bodies.receive(ticket, NUMBERS, numbers) == b"[[1.0,2.5],[3.0,4.0]]"
    with pytest.raises(ValueError, match="65537 bytes in a place of 65536"):
        bodies.receive(ticket, SHARED, SLOT.pack(start, room + 1, start, room))
    with pytest.raises(ValueError, match="memory that it did not get"):
        bodies.receive(request(b"small"), SHARED, where)


def test_in_a_page_that_is_closed_nothing_arrives() -> None:
    """Between the end of a worker and the moment in which its pool is told of it, bodies come in."""
    page = SharedPage()
    page.close()
    assert page.arena.receive(100_000) is None


def test_what_has_arrived_there_is_read_there_and_stays_as_it_is(memory: mmap.mmap) -> None:
    """The answer lies elsewhere: a copy of the request may wait still, or another worker have to score it again."""
    arena = Arena(memory, start=PAGE)
    body = arena.receive(100_000)
    assert body is not None
    found = arriving_in(body)
    assert found is not None
    body[:] = b"x" * 100_000
    payload, flags = LargeBodies(arena).send(first := request(body))
    start, size, answer, room = SLOT.unpack(payload)
    assert memory[answer : answer + 100_000] == bytes(100_000), "it is not copied"
    assert (flags, start, size, room) == (SHARED, found.slot.offset, 100_000, 131_072)
    assert abs(answer - start) >= 131_072
    assert first.slot == Slot(answer, room)

    with mmap.mmap(-1, PAGE + 32 * 1024 * 1024) as another:
        copies = Arena(another, start=PAGE)
        body[:] = b"y" * 100_000
        start, size, answer, _ = SLOT.unpack(LargeBodies(copies).send(request(body))[0])
        assert (another[start : start + size], answer) == (b"y" * 100_000, start)


def test_what_has_arrived_there_is_read_there_where_no_place_is_left_for_the_answer(memory: mmap.mmap) -> None:
    arena = Arena(memory, start=PAGE)
    body = arena.receive(100_000)
    assert body is not None
    while arena.put(b"x" * SMALLEST_BYTES) is not None:
        pass
    payload, flags = LargeBodies(arena).send(first := request(body))
    assert (flags, SLOT.unpack(payload)[2:], first.slot) == (SHARED, (0, 0), None)


@given(st.lists(st.tuples(st.sampled_from(["put", "free", "receive", "drop"]), st.integers(1, 3_000_000)), max_size=40))
def test_whatever_comes_and_goes(steps: list[tuple[str, int]]) -> None:
    with mmap.mmap(-1, PAGE + 8 * 1024 * 1024) as memory:
        arena = Arena(memory, start=PAGE)
        held: list[tuple[Slot, bytes]] = []
        arrived: list[tuple[memoryview, bytes]] = []
        for what, size in steps:
            if not size % 7:
                arena.give_back()
            body = size.to_bytes(4, "big") * (size // 4 + 1)
            if what == "put" and (made := arena.put(body)) is not None:
                held.append((made, body))
            elif what == "receive" and (place := arena.receive(len(body))) is not None:
                place[:] = body
                arrived.append((place, body))
                del place
            elif what == "free" and held:
                slot, body = held.pop(size % len(held))
                assert arena.view(slot, len(body)) == body
                arena.free(slot)
            elif what == "drop" and arrived:
                assert bytes.__eq__(*map(bytes, arrived.pop(size % len(arrived))))
        assert all(arena.view(slot, len(body)) == body for slot, body in held)
        assert all(place == body for place, body in arrived)
        assert arena.arriving == len(arrived)
        arrived.clear()
        place = None  # or the memory could not be closed


def test_large_bodies_come_back_whole(services: Services) -> None:
    service = services.start(ECHO)
    sizes = [SMALLEST_BYTES - 1, SMALLEST_BYTES, 100_000, 1_000_000, LARGEST_BYTES, LARGEST_BYTES + 1]
    bodies = [os.urandom(size) for size in sizes] * 2 + [b"more" * 50_000, b"more" * 16_384]

    def ask(body: bytes) -> bytes:
        return service.ask("POST", "/score", body=body).body

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, bodies))
    assert answers == [body * 2 if body.startswith(b"more") else body for body in bodies]


def test_a_crash_leaves_nothing_behind(services: Services) -> None:
    service = services.start(ECHO)
    body = os.urandom(300_000)
    for _ in range(3):
        assert service.ask("POST", "/score", body=b"crash" * 20_000).status == 502
        assert service.ask("POST", "/score", body=body).body == body

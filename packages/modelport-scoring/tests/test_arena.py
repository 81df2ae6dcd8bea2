"""The memory through which large bodies cross: nothing is lost, shared or kept."""

from __future__ import annotations

import itertools
import mmap
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport_scoring.workers.arena import KEPT_BYTES, LARGEST_BYTES, SMALLEST_BYTES, Arena, Slot
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


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3_000_000)), max_size=40))
def test_whatever_comes_and_goes(steps: list[tuple[bool, int]]) -> None:
    with mmap.mmap(-1, PAGE + 8 * 1024 * 1024) as memory:
        arena = Arena(memory, start=PAGE)
        held: list[tuple[Slot, bytes]] = []
        for frees, size in steps:
            if not size % 7:
                arena.give_back()
            if frees and held:
                slot, body = held.pop(size % len(held))
                assert arena.view(slot, len(body)) == body
                arena.free(slot)
            else:
                body = size.to_bytes(4, "big") * (size // 4 + 1)
                made = arena.put(body)
                if made is not None:
                    held.append((made, body))
        assert all(arena.view(slot, len(body)) == body for slot, body in held)


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

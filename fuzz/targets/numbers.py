"""Numbers that server and worker read and write by a way of their own: whatever comes out is what ``json`` makes of it.

An input is a byte for the parameter, or for the kind of check, and then a body, or a byte for how many lists there are,
their lengths, and doubles.
"""

from __future__ import annotations

import contextlib
import json
from array import array
from math import prod
from typing import Any

from modelport_scoring.workers.contract import ArrayParameter
from modelport_scoring.workers.numbers import NumberReader, write_numbers
from modelport_scoring.workers.replies import UNREADABLE, split_answers
from modelport_worker.batching import encode_numbers
from modelport_worker.frames import ROW, lengths
from modelport_worker.json_codec import dumps

PARAMETERS = [
    ArrayParameter(name="x", type=kind, row=row) for kind in ("<f8", "<i8") for row in ([], [1], [2], [3], [2, 2])
]
READERS = [NumberReader(parameter) for parameter in PARAMETERS]
SOME = 0xF0
"""Inputs that begin with this byte, or one above, are numbers that are written."""

MOST_LISTS = 8


def check_one(data: bytes) -> None:
    if not data:
        return
    if data[0] >= SOME:
        check_written(data[1:])
        check_nonsense(data[1:])
    else:
        which = data[0] % len(PARAMETERS)
        check_read(PARAMETERS[which], READERS[which], data[1:])


# --- read -------------------------------------------------------------------------------------------------------------


def check_read(parameter: ArrayParameter, reader: NumberReader, body: bytes) -> None:
    """What is taken is the array that the ordinary way would have made."""
    memory = reader.read(body)
    if memory is None:
        return
    value = json.loads(body)
    assert list(value) == [parameter.name], f"there is more than {parameter.name}"
    rows = value[parameter.name]
    numbers = flat(rows, (len(rows), *parameter.row))
    code = "d" if parameter.type == "<f8" else "q"
    assert all(type(number) in ((int, float) if code == "d" else (int,)) for number in numbers), numbers
    expected = array(code, numbers).tobytes()
    assert bytes(memory) == expected, f"{array(code, bytes(memory))} is not {numbers}"


def flat(value: Any, shape: tuple[int, ...]) -> list[Any]:
    """The members of nested lists of exactly that shape."""
    if not shape:
        return [value]
    assert type(value) is list, f"{value} is no list"
    assert len(value) == shape[0], f"{value} has not {shape[0]} members"
    found = [number for member in value for number in flat(member, shape[1:])]
    assert len(found) == prod(shape)
    return found


# --- written ----------------------------------------------------------------------------------------------------------


def check_written(data: bytes) -> None:
    """Lists of floats, each as if it had been written alone, whoever writes them."""
    count = data[0] % MOST_LISTS + 1 if data else 1
    doubles = array("d", data[count + 1 : count + 1 + (len(data) - count - 1) // 8 * 8] if len(data) > count else b"")
    counts = [1 + size % 4 for size in data[1 : count + 1]]
    if not doubles or sum(counts) > len(doubles) or len(counts) != count:
        return
    values = list(doubles[: sum(counts)])
    payload = lengths(count).pack(*counts) + array("d", values).tobytes()
    alone = [json.dumps(part).encode() for part in parts(values, counts)]
    assert split_answers(payload, count, are_numbers=True) == alone
    together = encode_numbers(values, counts)
    assert together in (None, [dumps(part) for part in parts(values, counts)]), f"{together} is not {alone}"
    written = write_numbers(ROW.pack(0) + array("d", values).tobytes())
    assert repr(json.loads(written)) == repr(values), f"{written!r} is not {values}"


def parts(values: list[float], counts: list[int]) -> list[list[float]]:
    found, start = [], 0
    for count in counts:
        found.append(values[start : start + count])
        start += count
    return found


def check_nonsense(data: bytes) -> None:
    """What a worker that has gone mad may send in the place of numbers or answers."""
    for count in (1, len(data) % 300 + 1):
        for are_numbers in (True, False):
            answers = split_answers(data, count, are_numbers=are_numbers)
            assert answers is None or len(answers) == count
    with contextlib.suppress(*UNREADABLE):
        write_numbers(data)

"""Requests that are scored together: each gets what it would have got alone."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driving import DEADLINE_S, App, Received, WorkerProcess, score_frame
from interpreters import THIS_PYTHON, make_environment
from modelport_worker.answers import MANY_NUMBERS
from modelport_worker.batching import MOST_FAILURES
from modelport_worker.frames import (
    ALONE,
    ARRAY,
    BATCH,
    HEADER,
    PAGE_SIZE,
    REDONE,
    RESULT,
    RESULTS,
    SCORE,
    SCORES,
    SHARED,
    SLOT,
    STARTED,
    STOPPED,
    lengths,
    pack,
)
from modelport_worker.frames import NUMBERS as LEFT_TO_SERVER
from modelport_worker.link import CAREFUL

ENVIRONMENTS = {
    "3.6 and 1.0.2": ("3.6", ["inference-schema==1.0.2", "numpy", "pandas"]),
    "3.8 and 1.3.0": ("3.8", ["inference-schema==1.3.0", "numpy", "pandas"]),
}
GUESSES = "3.8 and 1.3.0"
"""The version of the package that has pandas guess types."""

SCRIPT = """
import os
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", {sample})
@output_schema(NumpyParameterType(np.array([1.5])))
def run(data):
    {body}
"""
ARRAY_SAMPLE = 'NumpyParameterType(np.array([["abc", "de"]]))'
NUMBERS = "NumpyParameterType(np.array([[1.5, 2.0]], dtype='float32'))"
TABLE = "PandasParameterType(pd.DataFrame({'n': [1], 'x': [1.5], 'b': [True], 's': ['a']}))"
SHOW = "return [[str(data.dtype), *map(str, row)] for row in data]"
SHOW_TABLE = "return [[type(v).__name__ + repr(v) for v in row] for row in data.astype(object).values.tolist()]"

ARRAY_BODIES: list[Any] = [
    [["a", "b"]],
    [["abcdef", "g"], ["h", "i"]],
    [[1, True]],
    [["a"]],
    [["a", ["b"]]],
    [],
    "text",
    [["c", "d"]],
    {"a": 1},
]
TABLE_BODIES: list[Any] = [
    [{"n": 1, "x": 2.5, "b": True, "s": "007"}],
    [{"n": 2, "x": 3, "b": False, "s": "text"}, {"n": 3, "x": -0.0, "b": True, "s": "1"}],
    [{"x": 1.5, "n": 2, "b": True, "s": "a"}],
    [{"n": 1.5, "x": 2.5, "b": True, "s": "a"}],
    [{"n": 2**63, "x": 2.5, "b": True, "s": "a"}],
    [{"n": -1, "x": 2**60 + 1, "b": True, "s": "2020-01-01"}],
    [{"n": 1, "x": None, "b": 1, "s": None}],
    [{"n": 1}],
    [{"n": 1, "x": 2.5, "b": True, "s": "a", "more": 1}],
    [],
    5,
]


@pytest.fixture(scope="module", params=["here", *ENVIRONMENTS])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A name and an interpreter."""
    if request.param == "here":
        return "here", THIS_PYTHON
    version, requirements = ENVIRONMENTS[request.param]
    folder = tmp_path_factory.mktemp("environment") / "env"
    return request.param, make_environment(folder, version=version, requirements=requirements)


@dataclass
class Batch:
    """What came for the frames of one write."""

    announced: list[Received]
    answers: list[tuple[int, int, bytes]]
    """Status, flags and body of each, in their order."""


def bundle(first: int, payloads: list[bytes], flags: int = 0) -> bytes:
    """All in one frame, as the server sends them."""
    body = lengths(len(payloads)).pack(*map(len, payloads)) + b"".join(payloads)
    return HEADER.pack(first, len(body), 0, 0, len(payloads), SCORES, flags) + body


def ask_together(worker: WorkerProcess, payloads: list[bytes], *, flags: int = 0, apart: bool = False) -> Batch:
    """Send all by one write, so that the worker finds them waiting; ``apart``: each in a frame of its own."""
    first = worker._next_id
    worker._next_id += len(payloads)
    if apart or len(payloads) == 1:
        frames = [pack(first + number, SCORE, payload, b"", flags) for number, payload in enumerate(payloads)]
    else:
        frames = [bundle(first, payloads, flags)]
    worker.connection.sendall(b"".join(frames))
    return receive_answers(worker, first, len(payloads))


def receive_answers(worker: WorkerProcess, first: int, count: int) -> Batch:
    batch = Batch([], [])
    while len(batch.answers) < count:
        frame = worker.receive()
        assert frame is not None, worker.output
        if frame.kind == BATCH:
            batch.announced.append(frame)
        elif frame.kind == RESULTS:
            assert frame.id == first + len(batch.answers)
            batch.announced.append(replace(frame, flags=0, payload=b""))
            batch.answers += [(200, frame.flags & ~LEFT_TO_SERVER, answer) for answer in split_results(frame)]
        else:
            assert (frame.kind, frame.id) == (RESULT, first + len(batch.answers))
            batch.answers.append((frame.code, frame.flags, frame.payload))
    return batch


def split_results(frame: Received) -> list[bytes]:
    """The bodies; numbers as the server is to write them."""
    table = lengths(frame.code)
    sizes, rest = table.unpack_from(frame.payload), frame.payload[table.size :]
    if frame.flags & LEFT_TO_SERVER:
        numbers = iter(memoryview(rest).cast("d").tolist())
        answers = [json.dumps(list(itertools.islice(numbers, size))).encode() for size in sizes]
        assert not list(numbers)
        return answers
    starts = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    assert starts.pop() == len(rest)
    return [rest[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def as_bodies(values: list[Any]) -> list[bytes]:
    return [json.dumps({"data": value}).encode() for value in values]


def answers_alone(app: App, python: str, script: str, payloads: list[bytes], *, flags: int = 0) -> list[Any]:
    with app.run(python, script) as worker:
        worker.start()
        return [ask_together(worker, [payload], flags=flags).answers[0] for payload in payloads]


def script_of(sample: str, body: str) -> str:
    return SCRIPT.replace("{sample}", sample).replace("{body}", body)


@pytest.mark.parametrize(
    ("sample", "body", "values"),
    [(ARRAY_SAMPLE, SHOW, ARRAY_BODIES), (TABLE, SHOW_TABLE, TABLE_BODIES)],
    ids=["array", "table"],
)
def test_any_two_requests(app: App, environment: tuple[str, str], sample: str, body: str, values: list[Any]) -> None:
    name, python = environment
    script = script_of(sample, body)
    if sample == TABLE and name == GUESSES:
        with app.batch(python, script) as worker:
            assert "inference-schema must be one that does not guess" in worker.failure()["message"]
        return
    payloads = [*as_bodies(values), b"{", b'{"other": 1}', b'{"data": [], "x": NaN}']
    alone = answers_alone(app, python, script, payloads)
    joined = 0
    with app.batch(python, script) as worker:
        worker.start()
        for first, one in zip(payloads[:4], alone[:4], strict=True):
            for second, other in zip(payloads, alone, strict=True):
                batch = ask_together(worker, [first, second])
                assert batch.answers == [one, other], (first, second)
                assert ask_together(worker, [first, second], apart=True).answers == [one, other], (first, second)
                joined += any(not frame.flags & REDONE for frame in batch.announced)
    assert joined >= 2


def test_numbers_that_were_read_once(app: App, environment: tuple[str, str]) -> None:
    _, python = environment
    script = script_of(NUMBERS, "data += 1; assert data.flags.c_contiguous; " + SHOW)
    payloads = [np.arange(2.0 * rows).tobytes() for rows in (1, 3, 2)]
    alone = answers_alone(app, python, script, payloads, flags=ARRAY)
    with app.batch(python, script) as worker:
        assert worker.start()["array"] == {"name": "data", "type": "<f8", "row": [2]}
        batch = ask_together(worker, payloads, flags=ARRAY)
        assert ask_together(worker, payloads, flags=ARRAY, apart=True).answers == batch.answers
    assert batch.answers == alone
    assert [answer[0] for answer in alone] == [200] * 3
    assert [(frame.code, frame.flags) for frame in batch.announced] == [(3, 0)]


def test_numbers_come_the_same_by_each_way_and_may_be_written_to(app: App) -> None:
    numbers = NUMBERS.replace("float32", "float64")  # as they come: nothing makes a copy of them on the way
    script = script_of(numbers, "data += 1; return [len(data), float(data.sum()), float(data[-1, -1])]")
    with app.run(THIS_PYTHON, script) as worker:
        worker.start()
        for rows in (5, 40_000):  # the latter does not fit into what is read at once
            sent = np.arange(2.0 * rows)
            payload, expected = sent.tobytes(), [rows, float((sent + 1).sum()), 2.0 * rows]
            worker.page[PAGE_SIZE : PAGE_SIZE + len(payload)] = payload
            place = SLOT.pack(PAGE_SIZE, len(payload), PAGE_SIZE, len(payload))
            for frame in (pack(1, SCORE, payload, b"", ARRAY), pack(2, SCORE, place, b"", ARRAY | SHARED)):
                worker.connection.sendall(frame)
                answer = worker.receive()
                assert answer is not None
                assert answer.json == expected
            assert worker.page[PAGE_SIZE : PAGE_SIZE + len(payload)] == payload, "the script has a copy"


def test_many_numbers_are_written_the_same_way_alone_and_together(app: App, environment: tuple[str, str]) -> None:
    name, python = environment
    script = script_of(NUMBERS, "return (data[:, 0].astype('f8') / 3).tolist()")
    payloads = [np.arange(2.0 * rows).tobytes() for rows in (1, MANY_NUMBERS, 40, 2)]
    alone = answers_alone(app, python, script, payloads, flags=ARRAY)
    with app.batch(python, script) as worker:
        worker.start()
        batch = ask_together(worker, payloads, flags=ARRAY)
    assert batch.answers == alone
    assert batch.announced
    left_to_server = [bool(flags & LEFT_TO_SERVER) for _, flags, _ in alone]
    assert left_to_server == ([False] * 4 if name == "here" else [False, True, True, False])  # orjson is here


@pytest.mark.parametrize(
    "body",
    [
        "return data",
        "return float(data.sum())",
        "return {'sum': float(data.sum())}",
        "return [1, 2, 3, 4]",
        "raise ValueError(len(data))",
    ],
)
def test_what_does_not_split_is_redone_and_given_up(app: App, body: str) -> None:
    script = script_of(NUMBERS, body)
    payloads = as_bodies([[[1, 2]], [[3, 4]]])
    alone = answers_alone(app, THIS_PYTHON, script, payloads)
    with app.batch(THIS_PYTHON, script) as worker:
        worker.start()
        batches = [ask_together(worker, payloads) for _ in range(MOST_FAILURES + 1)]
    for batch in batches:
        assert [answer[:2] for answer in batch.answers] == [answer[:2] for answer in alone]
    flags = [frame.flags for batch in batches for frame in batch.announced]
    if "raise" in body:  # the requests may be at fault
        assert flags == [REDONE] * (MOST_FAILURES + 1)
    else:
        assert flags == [REDONE] * (MOST_FAILURES - 1) + [REDONE | STOPPED]


def test_only_failures_in_a_row_end_it(app: App) -> None:
    script = script_of(NUMBERS, "return data[:, 0].tolist() if data[0, 0] else None")
    splits, fails = as_bodies([[[1, 2]], [[3, 4]]]), as_bodies([[[0, 2]], [[3, 4]]])
    with app.batch(THIS_PYTHON, script) as worker:
        worker.start()
        for _ in range(2):
            batches = [ask_together(worker, fails) for _ in range(MOST_FAILURES - 1)]
            assert [batch.announced[0].flags for batch in batches] == [REDONE] * (MOST_FAILURES - 1)
            assert ask_together(worker, splits).announced[0].flags == 0


def test_a_script_that_writes_to_its_argument(app: App) -> None:
    """What is redone one by one begins with what came."""
    script = script_of(
        NUMBERS.replace("float32", "float64"), "data += 1; return [1 / (len(data) == 1), *data[0].tolist()]"
    )
    payloads = [np.array([[1.0, number]]).tobytes() for number in range(4)]
    alone = answers_alone(app, THIS_PYTHON, script, payloads, flags=ARRAY)
    with app.batch(THIS_PYTHON, script) as worker:
        worker.start()
        batch = ask_together(worker, payloads, flags=ARRAY)
    assert batch.announced[0].flags & REDONE
    assert batch.answers == alone
    assert [json.loads(answer[2]) for answer in alone] == [[1.0, 2.0, number + 1.0] for number in range(4)]


def test_a_script_that_does_not_qualify(app: App) -> None:
    script = script_of(NUMBERS.replace("'))", "'), enforce_shape=False)"), SHOW)
    with app.batch(THIS_PYTHON, script) as worker:
        assert "Change run(), write a run_batch(requests), or switch batching off." in worker.failure()["message"]


@pytest.mark.parametrize("apart", [3, 1, 0])
def test_the_page_tells_of_a_whole_batch(app: App, apart: int) -> None:
    """``apart``: so many come in frames of their own, and the others in one."""
    script = script_of(NUMBERS, "os._exit(7) if data[0, 0] == 13 else None; return data.sum(axis=1).tolist()")
    with app.batch(THIS_PYTHON, script) as worker:
        worker.start()
        before = worker._next_id
        bodies = as_bodies([[[13, 1]], [[3, 4]], [[5, 6]]])
        frames = [score_frame(before + number, body) for number, body in enumerate(bodies[:apart])]
        if apart < len(bodies):
            frames.append(bundle(before + apart, bodies[apart:]))
        worker.connection.sendall(b"".join(frames))
        assert worker.receive() is None
        assert worker.process.wait(DEADLINE_S) == 7
        assert STARTED.unpack_from(worker.page) == (before, before + 2)


def test_alone_is_alone(app: App) -> None:
    with app.batch(THIS_PYTHON, script_of(NUMBERS, SHOW)) as worker:
        worker.start()
        assert not ask_together(worker, as_bodies([[[1, 2]], [[3, 4]]]), flags=ALONE).announced


def test_no_more_are_scored_together_than_may_be(app: App) -> None:
    payloads = [np.ones((1, 2)).tobytes() for _ in range(3)]
    with app.batch(THIS_PYTHON, script_of(NUMBERS, "return [len(data)] * len(data)"), together=4) as worker:
        worker.start()
        first = worker._next_id
        bundles = [bundle(first, payloads, ARRAY), bundle(first + 3, payloads, ARRAY)]
        worker.connection.sendall(b"".join(bundles) + pack(first + 6, SCORE, payloads[0], b"", ARRAY))
        batch = receive_answers(worker, first, 7)
    assert [answer[2] for answer in batch.answers] == [b"[3]"] * 3 + [b"[4]"] * 4


def test_requests_that_came_together_are_scored_alone_where_that_was_given_up(app: App) -> None:
    """The server may have sent them before it learned of that; and the worker is told to end among them."""
    body = "signal.raise_signal(signal.SIGTERM) if data[0, 0] == 5 else None; return float(data.sum())"
    payloads = [np.full((1, 2), float(value)).tobytes() for value in (1, 2, 5, 7)]
    with app.batch(THIS_PYTHON, "import signal\n" + script_of(NUMBERS, body)) as worker:
        worker.start()
        for _ in range(MOST_FAILURES):
            ask_together(worker, payloads[:2], flags=ARRAY)
        batch = ask_together(worker, payloads[:2], flags=ARRAY)
        assert ([answer[2] for answer in batch.answers], batch.announced) == ([b"2.0", b"4.0"], [])
        first = worker._next_id
        worker.connection.sendall(bundle(first, payloads, ARRAY))
        batch = receive_answers(worker, first, 3)
        assert [answer[2] for answer in batch.answers] == [b"2.0", b"4.0", b"10.0"]
        assert worker.receive() is None
        assert worker.process.wait(DEADLINE_S) == 0


def test_an_odd_request_divides_a_batch(app: App) -> None:
    """Arrays go with arrays, so that a request of another kind does not have all the others scored one by one."""
    array, odd = np.ones((1, 2)).tobytes(), b'{"data": [[NaN, 1]]}'
    with app.batch(THIS_PYTHON, script_of(NUMBERS, SHOW)) as worker:
        worker.start()
        first = worker._next_id
        kinds_sent = [(array, ARRAY), (array, ARRAY), (odd, 0), (array, ARRAY), (array, ARRAY)]
        frames = [pack(first + number, SCORE, text, b"", flags) for number, (text, flags) in enumerate(kinds_sent)]
        worker.connection.sendall(b"".join(frames))
        received = [worker.receive() for _ in range(3)]
    kinds = [(frame.kind, frame.code) for frame in received if frame is not None]
    assert kinds == [(RESULTS, 2), (RESULT, 200), (RESULTS, 2)]


RUN_BATCH = """
import numpy as np
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema

class Rows(AbstractParameterType):
    takes_arrays = True
    enforce_column_type = enforce_shape = True
    def deserialize_input(self, value):
        return value
    def input_to_swagger(self):
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "example": [[0.5, 1.5]]}

def init():
    pass

def score(data, method):
    return {method: [sum(row) for row in (data.tolist() if isinstance(data, np.ndarray) else data)]}

@input_schema("data", Rows(np.array([[0.5, 1.5]])))
def run(data=None, method="sum"):
    return {"alone": score(data, method), "array": isinstance(data, np.ndarray)}

def run_batch(requests):
    {body}
"""
TOGETHER = "return [{'together': score(**request), 'of': len(requests)} for request in requests]"


@pytest.mark.parametrize(("python", "requirements"), [("here", []), ("3.6", ENVIRONMENTS["3.6 and 1.0.2"][1])])
def test_a_script_scores_several_requests_its_own_way(
    app: App, tmp_path: Path, python: str, requirements: list[str]
) -> None:
    interpreter = THIS_PYTHON
    if requirements:
        interpreter = make_environment(tmp_path / "env", version=python, requirements=requirements)
    bodies = [{"data": [[1, 2]]}, {"data": [[1, 2], [3, 4]], "method": "add"}, {"method": "add", "data": []}]
    with app.batch(interpreter, RUN_BATCH.replace("{body}", TOGETHER)) as worker:
        ready = worker.start()
        assert ready["array"] == {"name": "data", "type": "<f8", "row": [2]}
        alone = ask_together(worker, [json.dumps(bodies[1]).encode()])
        assert json.loads(alone.answers[0][2]) == {"alone": {"add": [3, 7]}, "array": False}
        batch = ask_together(worker, [json.dumps(body).encode() for body in bodies])
        assert [json.loads(answer[2]) for answer in batch.answers] == [
            {"together": {"sum": [3]}, "of": 3},
            {"together": {"add": [3, 7]}, "of": 3},
            {"together": {"add": []}, "of": 3},
        ]
        arrays = [np.array(rows, dtype="<f8").tobytes() for rows in ([[1.5, 2.5]], [[1, 2], [3, 4]])]
        batch = ask_together(worker, arrays, flags=ARRAY)
        assert [json.loads(answer[2])["together"] for answer in batch.answers] == [{"sum": [4.0]}, {"sum": [3.0, 7.0]}]
        alone = ask_together(worker, arrays[:1], flags=ARRAY)
        assert json.loads(alone.answers[0][2]) == {"alone": {"sum": [4.0]}, "array": True}


@pytest.mark.parametrize(
    ("body", "reason"),
    [("return [1]", "what run_batch() returned has no member for each request"), ("return 1 / 0", "ZeroDivisionError")],
)
def test_requests_that_a_script_cannot_score_together_are_scored_alone(app: App, body: str, reason: str) -> None:
    payloads = as_bodies([[[1, 2]], [[3, 4]]])
    with app.batch(THIS_PYTHON, RUN_BATCH.replace("{body}", body)) as worker:
        worker.start()
        batch = ask_together(worker, payloads)
    assert batch.announced[0].flags & REDONE
    assert reason in batch.announced[0].text
    assert [json.loads(answer[2])["alone"] for answer in batch.answers] == [{"sum": [3]}, {"sum": [7]}]


def test_a_request_that_is_not_valid_costs_its_neighbours_nothing(app: App) -> None:
    with app.batch(THIS_PYTHON, RUN_BATCH.replace("{body}", TOGETHER)) as worker:
        worker.start()
        batch = ask_together(worker, [b'{"data": [[1, 2]]}', b"no JSON"])
    assert [answer[0] for answer in batch.answers] == [200, 400]
    assert json.loads(batch.answers[0][2])["alone"] == {"sum": [3]}


HELD_UP = """
import os, time
def init(): pass
def run(data):
    while data == "gate" and not os.path.exists("open"): time.sleep(0.005)
    return data
def run_batch(requests): return [run(**request) for request in requests]
"""


def test_an_answer_that_is_not_plain_takes_no_other_ones_place(app: App) -> None:
    script = "def init(): pass\ndef run(data): return data\n"
    script += "def run_batch(requests): return [{1} if each['data'] == 'odd' else each['data'] for each in requests]\n"
    with app.batch(THIS_PYTHON, script) as worker:
        worker.start()
        batch = ask_together(worker, [b"a", b"odd", b"c"])
    assert [(code, body[:4]) for code, _, body in batch.answers][::2] == [(200, b'"a"'), (200, b'"c"')]
    assert batch.answers[1][0] == 500


@pytest.mark.parametrize("following", [[("gate", 0)], [("gate", 0), ("c", 0)], [("gate", ALONE)]])
def test_what_was_answered_together_does_not_wait_for_the_next_ones(app: App, following: list[tuple[str, int]]) -> None:
    with app.batch(THIS_PYTHON, HELD_UP, together=2) as worker:
        worker.start()
        first = after_many_quick_ones(worker)
        sent = [("a", 0), ("b", 0), *following]
        frames = [pack(first + number, SCORE, text.encode(), b"", flags) for number, (text, flags) in enumerate(sent)]
        worker.connection.sendall(b"".join(frames))
        batch = receive_answers(worker, first, 2)
        assert [body for _, _, body in batch.answers] == [b'"a"', b'"b"']
        (app.root / "open").touch()
        assert receive_answers(worker, first + 2, len(following)).answers[0][2] == b'"gate"'


def test_what_was_answered_together_does_not_wait_for_company_for_the_next_one(app: App) -> None:
    with app.batch(THIS_PYTHON, HELD_UP, together=2, wait_ms=10 * DEADLINE_S * 1000) as worker:
        worker.start()
        first = after_many_quick_ones(worker)
        worker.connection.sendall(b"".join(score_frame(first + number, text) for number, text in enumerate([b"a"] * 3)))
        assert len(receive_answers(worker, first, 2).answers) == 2
        worker.connection.sendall(score_frame(first + 3, b"the company"))
        assert len(receive_answers(worker, first + 2, 2).answers) == 2


def after_many_quick_ones(worker: WorkerProcess) -> int:
    """The next number, once the worker keeps answers back for a moment, so that several go out together."""
    first, count = worker._next_id, CAREFUL + 10
    worker.connection.sendall(b"".join(pack(first + number, SCORE, b"quick", b"", ALONE) for number in range(count)))
    receive_answers(worker, first, count)
    return first + count


def test_a_socket_with_a_high_number(app: App, python: str) -> None:
    script = (
        "def init(): pass\ndef run(data): return data\ndef run_batch(requests): return [r['data'] for r in requests]"
    )
    with app.batch(python, script, lowest_fd=1100) as worker:
        worker.start()
        batch = ask_together(worker, [b"a", b"b"])
        assert worker.ask(b"c").json == "c"
    assert [body for _, _, body in batch.answers] == [b'"a"', b'"b"']

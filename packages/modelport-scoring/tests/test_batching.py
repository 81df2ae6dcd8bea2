"""Batching through a service's front door: the same answers as without it."""

from __future__ import annotations

import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring.logs.journal import Journal
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.window import Window
from scoring_services import Answer, RunningService, Services, ask, wait_until

JSON = {"Content-Type": "application/json"}

SCRIPT = """
import os, time
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", SAMPLE)
def run(data):
    rows = data.astype(object).values if isinstance(data, pd.DataFrame) else data
    time.sleep(0.002)  # so that others arrive meanwhile
    texts = [repr(row.tolist()) for row in rows]
    if any("13" in text for text in texts):
        os._exit(7)
    return [[text, str(rows.dtype)] for text in texts]
"""

SAMPLES = {
    "float64": "NumpyParameterType(np.array([[1.5, 2.0]]))",
    "float32": "NumpyParameterType(np.array([[1.5, 2.0]], dtype='float32'))",
    "int64": "NumpyParameterType(np.array([[1, 2]]))",
    "bool": "NumpyParameterType(np.array([[True, False]]))",
    "text": "NumpyParameterType(np.array([['abc', 'd']]))",
    "one dimension": "NumpyParameterType(np.array([1.5]))",
    "three dimensions": "NumpyParameterType(np.array([[[1.5, 2.0], [1.0, 2.0]]]))",
    "table": "PandasParameterType(pd.DataFrame({'n': [1], 'x': [1.5], 'b': [True], 's': ['a']}))",
}
VALUES: list[Any] = [
    1,
    2,
    -0.0,
    0.1,
    1e300,
    2**60 + 1,
    2**64,
    float("nan"),
    True,
    False,
    "a",
    "longer",
    "7",
    None,
    [],
    [1],
]


def body(name: str, chance: random.Random) -> str:
    """A request, mostly a valid one."""
    if chance.random() < 0.02:
        return chance.choice(["", "{", "[]", '{"other": 1}', '{"data": 1}', '{"data": []}', '{"data": {"a": [1]}}'])
    plain = VALUES[:2] if chance.random() < 0.85 else VALUES
    rows = [row_of(name, plain, chance) for _ in range(chance.randint(1, 3))]
    document = {"data": rows, **({"more": 1} if chance.random() < 0.02 else {})}
    return json.dumps(document)


def row_of(name: str, values: list[Any], chance: random.Random) -> Any:
    if name == "table":
        pairs: list[tuple[str, Any]] = [
            ("n", chance.choice([1, 2, 2**40])),
            ("x", chance.choice([0.5, 1, -0.0, 2**53 + 1])),
        ]
        pairs += [("b", chance.random() < 0.5), ("s", chance.choice(["7", "text", ""]))]
        if chance.random() < 0.03:
            chance.shuffle(pairs)
        if chance.random() < 0.03:
            pairs[0] = (pairs[0][0], chance.choice(values))
        return dict(pairs)
    if name == "one dimension":
        return chance.choice(values)
    width = 2 if chance.random() < 0.98 else 3
    if name == "three dimensions":
        return [[chance.choice(values) for _ in range(width)] for _ in range(2)]
    return [chance.choice(values) for _ in range(width)]


def score_all(service: RunningService, bodies: list[str], *, clients: int) -> list[Answer]:
    """All of them, divided among so many connections that are used at the same time."""

    def work(part: list[str]) -> list[Answer]:
        connection: HTTPConnection = service.connect()
        return [ask(connection, "POST", "/score", body=text, headers=JSON) for text in part]

    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(work, [bodies[number::clients] for number in range(clients)]))
    return [parts[number % clients][number // clients] for number in range(len(bodies))]


@pytest.mark.parametrize("name", SAMPLES)
def test_requests_that_are_scored_together_get_the_answers_of_single_ones(services: Services, name: str) -> None:
    script = SCRIPT.replace("SAMPLE", SAMPLES[name])
    chance = random.Random(name)
    bodies = [body(name, chance) for _ in range(150)]
    one_by_one = score_all(services.start(script), bodies, clients=1)
    service = services.start(script, batching={"max_requests": 16})
    together = score_all(service, bodies, clients=12)
    for text, expected, answer in zip(bodies, one_by_one, together, strict=True):
        assert (answer.status, answer.body) == (expected.status, expected.body), text
    sizes = service.ask("GET", "/metrics").body.decode()
    count, total = (number_of(sizes, f"modelport_batch_size_{what}") for what in ("count", "sum"))
    assert total > count, "no two requests were scored together"


def number_of(metrics: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name))


def test_only_the_poison_is_lost(services: Services) -> None:
    service = services.start(SCRIPT.replace("SAMPLE", SAMPLES["float64"]), batching={"max_requests": 16})
    numbers = [13 if number in {20, 21, 22, 23} else 100 + 20 * number for number in range(48)]
    answers = score_all(service, [json.dumps({"data": [[number, 0]]}) for number in numbers], clients=12)
    assert [answer.status for answer in answers] == [502 if number == 13 else 200 for number in numbers]


SLOW_TOGETHER = """
import os, time
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
def run(data):
    time.sleep(0.02)
    if len(data) > 1:
        time.sleep(60)
    return [[len(data), os.getpid()] for _ in data]
"""


def test_batches_that_take_too_long_become_smaller(services: Services) -> None:
    """More than one at once never ends."""
    service = services.start(
        SLOW_TOGETHER,
        batching={"max_requests": 8},
        limits={"scoring_timeout_ms": 1000, "scoring_grace_ms": 100, "drain_timeout_s": 0.1},
    )
    answers = score_all(service, [json.dumps({"data": [[1, 2]]})] * 100, clients=8)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json[0][0] for answer in answers} == {1}
    assert 1 <= service.status.workers[0].restarts <= 5, "8 or fewer, then 4, 2, and each alone"
    assert "requests at most are scored together" in service.log or "requests are scored alone" in service.log


def test_smaller_batches_grow_again_the_more_slowly_the_more_often_they_failed_to(tmp_path: Path) -> None:
    clock = [0.0]
    size = BatchSize(64, journal=Journal(tmp_path / "log"), now=lambda: clock[0])
    window = Window(size)

    def after(seconds: float, *, micros: int = 50_000) -> int:
        clock[0] += seconds
        window.measured(micros)
        return window.size

    assert after(0) == 64
    size.overran(50)
    assert (after(0), size.size) == (25, 25)
    size.overran(25)
    assert after(0) == 12
    assert [after(5), after(5), after(5), after(5), after(10)] == [12, 24, 24, 48, 64]
    size.overran(64)
    assert [after(19), after(1)] == [32, 64], "it failed after it had grown"
    size.overran(64)
    assert [after(39), after(1)] == [32, 64]
    assert after(700) == 64
    size.overran(64)
    assert [after(9), after(1)] == [32, 64], "it went well for long"
    for _ in range(6):
        size.overran(size.size)
    assert (after(0), after(1, micros=100)) == (1, 1), "alone: not even two in flight"
    assert "requests are scored alone" in (tmp_path / "log").read_text()
    for _ in range(40):
        after(700, micros=100)
    assert window.size == 128, "the next batch is there when this one is done"


def test_what_is_redone_is_told_once_a_second(services: Services) -> None:
    script = SCRIPT.replace("SAMPLE", SAMPLES["float64"]).replace(
        "return [[text", "raise ValueError(len(rows))\n    [[text"
    )
    service = services.start(script, batching={"max_requests": 4})
    begun = time.monotonic()
    score_all(service, [json.dumps({"data": [[1, 2]]})] * 200, clients=8)
    seconds = time.monotonic() - begun
    redone = number_of(service.ask("GET", "/metrics").body.decode(), "modelport_batches_redone_total")

    def counted() -> tuple[int, int]:
        lines = [line for line in service.log.splitlines() if "one by one instead of together" in line]
        more = sum(int(found.group(1)) for line in lines if (found := re.search(r"\((\d+) more in a second\)$", line)))
        return len(lines), len(lines) + more - sum("more in a second" in line for line in lines)

    wait_until(lambda: counted()[1] == redone, what="all of them are told of")
    assert redone > counted()[0]
    assert counted()[0] <= seconds + 3


STREAMS_TOGETHER = """
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

def run(data):
    return answer(data)

def run_batch(requests):
    return [answer(request["data"]) for request in requests]

def answer(data):
    value = int(data)
    return AMLResponse(pieces(value), 201) if value % 3 == 0 else {"value": value}

def pieces(value):
    yield str(value)
    yield " in pieces"
"""


def test_a_worker_that_ends_in_a_body_of_a_batch_does_not_make_it_again(services: Services) -> None:
    script = STREAMS_TOGETHER.replace('yield " in pieces"', "os._exit(7)").replace(
        "from azureml", "import os\nfrom azureml"
    )
    service = services.start(script, batching={"max_requests": 16, "max_wait_ms": 300})
    with ThreadPoolExecutor(2) as pool:
        broken, whole = pool.submit(service.score, "3"), pool.submit(service.score, "4")
        with pytest.raises(IncompleteRead):
            broken.result()
        assert whole.result().json == {"value": 4}
    wait_until(lambda: service.status.workers[0].restarts == 1, what="it is started again")
    assert service.score("4").json == {"value": 4}


def test_bodies_that_are_made_while_they_are_sent_in_a_batch(services: Services) -> None:
    service = services.start(STREAMS_TOGETHER, batching={"max_requests": 16, "max_wait_ms": 5})
    numbers = range(1, 200)
    answers = score_all(service, [str(number) for number in numbers], clients=12)
    assert [(answer.status, answer.body) for answer in answers] == [
        (201, b"%d in pieces" % number) if number % 3 == 0 else (200, b'{"value":%d}' % number) for number in numbers
    ]
    sizes = service.ask("GET", "/metrics").body.decode()
    assert number_of(sizes, "modelport_batch_size_sum") > number_of(sizes, "modelport_batch_size_count")

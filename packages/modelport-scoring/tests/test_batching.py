"""Batching through a service's front door: the same answers as without it."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from scoring_services import Answer, RunningService, Services, ask

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
def test_the_same_answers(services: Services, name: str) -> None:
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

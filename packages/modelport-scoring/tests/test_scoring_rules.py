"""What a request becomes, and what a result becomes, with the real worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelport_scoring import ErrorMode
from modelport_scoring.serving.script_answers import script_lines
from scoring_services import RunningService, Services

DECORATED = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.5]])))
@input_schema("scale", StandardPythonParameterType(2.0))
@output_schema(StandardPythonParameterType([3.0]))
def run(data, scale=1.0):
    return (data.sum(axis=1) * scale).tolist()
"""

RAISING = """
def init(): pass
def run(x):
    if x == "set":
        return {1, 2}
    raise ValueError("no good: <" + x + ">")
"""


@pytest.fixture(scope="module")
def raw_headers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("raw-headers"))
    yield made.start("raw_headers", fake=True)
    made.end()


def json_post(service: RunningService, body: str) -> tuple[int, Any]:
    answer = service.score(body, headers={"Content-Type": "application/json; charset=utf-8"})
    return answer.status, answer.json


def test_undecorated_scripts_get_text(echo: RunningService) -> None:
    assert echo.score("").json == ""
    assert echo.score('{"a": 1}', headers={"Content-Type": "image/png"}).json == '{"a": 1}'
    assert echo.ask("GET", "/score?a=1&b=x&b=2").json == '{"a": 1, "b": ["x", 2]}'
    assert echo.ask("GET", "/score").json == "{}"
    assert echo.score(b"\xff\xfe").status == 400


def test_the_headers_of_an_answer(echo: RunningService) -> None:
    headers = echo.score("x").headers
    assert headers["content-type"] == "application/json"
    assert headers["x-ms-run-function-failed"] == "False"
    assert headers["x-ms-server-version"].startswith("modelport/")
    whole, _, decimals = headers["x-ms-run-fn-exec-ms"].partition(".")
    assert whole.isdigit()
    assert len(decimals) == 3
    assert headers["date"].endswith(" GMT")


def test_decorated_scripts(services: Services) -> None:
    service = services.start(DECORATED)
    assert json_post(service, '{"data": [[1, 2], [3, 4]], "scale": 10}') == (200, [30.0, 70.0])
    assert json_post(service, '{"data": [[1, 2]], "unknown": 1}') == (200, [3.0])
    for wrong in ("text/plain", "application/jsonx", ""):
        answer = service.score('{"data": [[1, 2]]}', headers={"Content-Type": wrong})
        assert (answer.status, answer.message) == (415, "Expects Content-Type to be application/json")
        assert answer.headers["x-ms-run-function-failed"] == "False"
        assert "x-ms-run-fn-exec-ms" not in answer.headers
    assert json_post(service, "{")[0] == 400
    assert json_post(service, '{"scale": 1}')[0] == 400
    document = service.ask("GET", "/swagger.json").json
    properties = document["definitions"]["ServiceInput"]["properties"]
    assert properties["data"]["items"]["items"] == {"type": "number", "format": "double"}
    assert document["definitions"]["ServiceInput"]["example"] == {"data": [[1.5, 2.5]], "scale": 2.0}
    assert service.ask("GET", "/swagger.json?version=3.1").json["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("mode", "status", "raised", "unserialisable"),
    [
        (
            ErrorMode.CLOUD,
            502,
            "no good: <x>",
            "An unexpected internal error occurred. Encountered Exception: What run() returned cannot be sent as JSON: "
            "$ is of type set. Return a list of it instead.\nTraceback (most recent call last)",
        ),
        (ErrorMode.CONTAINER, 500, "no good: <x>", "An unexpected internal error occurred. Encountered Exception: Tr"),
        (
            ErrorMode.JSON,
            500,
            '{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}',
            '{"message": "An unexpected internal error occurred. Check the logs for more info."}',
        ),
    ],
)
def test_error_modes(services: Services, mode: ErrorMode, status: int, raised: str, unserialisable: str) -> None:
    service = services.start(RAISING)
    service.control.configure(error_mode=mode)
    answer = service.score("x")
    assert (answer.status, answer.body.decode()) == (status, raised)
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in answer.headers
    expected_type = "application/json" if mode is ErrorMode.JSON else "text/html; charset=utf-8"
    assert answer.headers["content-type"] == expected_type
    answer = service.score("set")
    assert answer.status == status
    assert answer.body.decode().startswith(unserialisable)
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" not in answer.headers
    assert "ValueError: no good" in service.log


@pytest.mark.parametrize(
    "meta",
    [
        b'[["X-A", "b\\r\\nX-Injected: yes"]]',
        b'[["X-A\\r\\nX-Injected", "yes"]]',
        b'[["X A", "b"]]',
        b'[["", "b"]]',
        b'[["X-A", "\\u0000"]]',
        b'[["X-A", "\\u2028\\u0100"]]',
        b'[["X-A"]]',
        b"{",
    ],
)
def test_headers_that_would_break_out_of_their_line_are_refused(raw_headers: RunningService, meta: bytes) -> None:
    answer = raw_headers.score(meta)
    assert answer.status == 500
    assert "x-injected" not in answer.headers
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert "HTTP cannot carry" in answer.message


def test_headers_of_the_script_are_sent_but_those_of_the_framing(raw_headers: RunningService) -> None:
    answer = raw_headers.score(
        b'[["Content-Type", "text/csv"], ["X-A", "b"], ["Content-Length", "1"], ["Connection", "x"]]'
    )
    assert (answer.status, answer.body) == (200, b"body")
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["x-a"] == "b"
    assert "connection" not in answer.headers


@pytest.mark.parametrize("name", ["X-Ms-Request-Id", "x-request-id", "x-ms-client-request-id", "TraceId"])
def test_ids_are_not_the_scripts_to_set(name: str) -> None:
    assert script_lines([(name, "mine"), ("X-A", "b")]) == b"X-A: b\r\n"


def test_statuses_of_the_script(services: Services) -> None:
    service = services.start("any_status", fake=True)
    assert service.score("299").status == 299
    assert service.score("204").body == b""
    assert service.score("503").headers["x-ms-run-function-failed"] == "True"
    for impossible in ("0", "101", "999"):
        assert service.score(impossible).status == 500

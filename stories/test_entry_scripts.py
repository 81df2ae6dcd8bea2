"""The contract between a service and its entry script, from outside: HTTP in, HTTP out (azureml-v1 reference, 5, 6)."""

from __future__ import annotations

import base64
import http.client
import json
import math
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from stories.serving import JSON, Answer, Kitchen, Served, open_kitchen

from modelport.exceptions import DeploymentFailed, UserErrorException

SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."

ECHO = """
    def init():
        pass

    def run(data):
        return [type(data).__name__, data]
"""

STANDARD = """
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    from inference_schema.schema_decorators import input_schema, output_schema

    def init():
        pass
"""

NUMPY = (
    STANDARD
    + """
    import numpy as np
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
"""
)

PANDAS = (
    NUMPY
    + """
    import pandas as pd
    from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
"""
)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with open_kitchen(tmp_path_factory.mktemp("kitchen")) as kitchen:
        yield kitchen


def until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


# --- 5.2: which scripts start -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "phase", "words"),
    [
        ("def run(data): return 1", "import", "no function init()"),
        ("def init(): pass", "import", "no function run()"),
        ("init = 1\nrun = 2", "import", "no function init()"),
        ("def init(): pass\ndef run(*args): return 1", "import", r"\*args"),
        ("def init(): pass\ndef run(data, **more): return 1", "import", r"\*\*more"),
        ("def init(): pass\ndef run(data, /): return 1", "import", "positional-only parameter data"),
        ("def init(): pass\ndef run(): return 1", "import", "no parameter for the data"),
        ("def init(): pass\ndef run(request_headers): return 1", "import", "no parameter for the data"),
        ("def init(): pass\ndef run(a, b): return 1", "import", "several parameters"),
        ("def init(model): pass\ndef run(data): return 1", "init", "missing 1 required positional argument"),
        ("def init(): raise ValueError('no luck')\ndef run(data): return 1", "init", "ValueError: no luck"),
        ("import sys\ndef init(): sys.exit(0)\ndef run(data): return 1", "init", r"sys\.exit\(0\)"),
        ("import os\ndef init(): os._exit(7)\ndef run(data): return 1", "init", "exit status 7"),
        ("import no_such_module\ndef init(): pass\ndef run(data): return 1", "import", "No module named"),
        (
            "from azureml.contrib.services.aml_request import rawhttp\n"
            "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType\n"
            "from inference_schema.schema_decorators import input_schema\n"
            "def init(): pass\n@rawhttp\n@input_schema('data', StandardPythonParameterType(1))\n"
            "def run(data): return 1",
            "import",
            "both @rawhttp and @input_schema",
        ),
    ],
)
def test_scripts_that_cannot_serve_say_why(kitchen: Kitchen, script: str, phase: str, words: str) -> None:
    with pytest.raises(DeploymentFailed, match=words) as raised, kitchen.serve(script):
        pass
    assert raised.value.failure.phase == phase


def test_a_syntax_error_is_found_before_anything_starts(kitchen: Kitchen) -> None:
    with pytest.raises(UserErrorException, match=r"SyntaxError: .*line 2"), kitchen.serve("import os\ndef init(: pass"):
        pass
    assert kitchen.workspace.webservices == {}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def init(): pass\ndef run(*, data): return data", "1"),
        ("init = lambda: None\nrun = lambda anything: anything", "1"),
        ("def init(): pass\ndef run(data, other=5): return [data, other]", ["1", 5]),
        (
            "def init(): pass\ndef run(request_headers, data): return [data, type(request_headers).__name__]",
            ["1", "dict"],
        ),
        ("class M:\n    def run(self, data): return data + '!'\ndef init(): pass\nrun = M().run", "1!"),
        (
            "import functools\ndef init(): pass\ndef both(a, b): return a + b\nrun = functools.partial(both, b='x')",
            "1x",
        ),
    ],
)
def test_unusual_signatures_that_serve(kitchen: Kitchen, script: str, expected: object) -> None:
    with kitchen.serve(script) as served:
        assert served.post("1").json == expected


# --- 5.5: how a request becomes the argument ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo(kitchen: Kitchen) -> Iterator[Served]:
    with kitchen.serve(ECHO) as served:
        yield served


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", "application/json; charset=utf-8", "x"]
)
@pytest.mark.parametrize("body", ["", "plain", '{"data": [1]}', "é \N{SNOWMAN} \0", " \n"])
def test_an_undecorated_script_gets_the_body_as_text(echo: Served, body: str, content_type: str | None) -> None:
    answer = echo.post(body, {} if content_type is None else {"Content-Type": content_type})
    assert (answer.status, answer.json) == (200, ["str", body])
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a\x80", '{"a": "é"}'.encode("latin-1")])
def test_bytes_that_are_no_utf_8_are_the_clients_fault(echo: Served, body: bytes) -> None:
    answer = echo.post(body)
    assert answer.status == 400
    assert answer.message.startswith("Input cannot be decoded as UTF-8: ")
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" not in answer.headers


@pytest.mark.parametrize(
    ("query", "argument"),
    [
        ("", "{}"),
        ("?a=1&b=x&b=2", '{"a": 1, "b": ["x", 2]}'),
        ("?a=null&b=true&c=True", '{"a": null, "b": true, "c": "True"}'),
        ("?a=%5B1%2C2%5D&b=1+2&c=%2B", '{"a": [1, 2], "b": "1 2", "c": "+"}'),
        ("?a=&b", '{"a": "", "b": ""}'),
        ("?%C3%A9=%C3%A9", '{"\\u00e9": "\\u00e9"}'),
        ("?a=NaN", '{"a": NaN}'),
    ],
)
def test_a_query_reaches_an_undecorated_script_as_json_text(echo: Served, query: str, argument: str) -> None:
    answer = echo.get(f"/score{query}")
    assert (answer.status, answer.json) == (200, ["str", argument])


def test_a_body_of_nine_megabytes_comes_back(echo: Served) -> None:
    body = json.dumps([0.123456] * 1_000_000)
    assert echo.post(body).json == ["str", body]


@pytest.fixture(scope="module")
def decorated(kitchen: Kitchen) -> Iterator[Served]:
    script = (
        NUMPY
        + """
    @input_schema("data", NumpyParameterType(np.array([[1, 2], [3, 4]])))
    @input_schema("factor", StandardPythonParameterType(1.5))
    @output_schema(StandardPythonParameterType([1.5]))
    def run(data, factor=10):
        return [data.tolist(), data.dtype.name, factor]
    """
    )
    with kitchen.serve(script) as served:
        yield served


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ('{"data": [[5, 6]]}', [[[5, 6]], "int64", 10]),
        ('{"data": [[5, 6]], "factor": 2}', [[[5, 6]], "int64", 2]),
        ('{"data": [[5, 6]], "unknown": 1}', [[[5, 6]], "int64", 10]),
        ('{"data": [[1.7, "2"]]}', [[[1, 2]], "int64", 10]),
        ('{"data": [[1, 2]], "data": [[3, 4]]}', [[[3, 4]], "int64", 10]),
        ('{"data": [[1, 2], [3, 4], [5, 6]]}', [[[1, 2], [3, 4], [5, 6]], "int64", 10]),
    ],
)
def test_the_keys_of_the_body_are_the_arguments(decorated: Served, body: str, result: object) -> None:
    answer = decorated.post(body)
    assert (answer.status, answer.json) == (200, result)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "POST body is empty. Expecting a JSON dictionary."),
        ("{", 400, "POST body could not be decoded as JSON: "),
        ('{"data": [[1, 2]]} x', 400, "POST body could not be decoded as JSON: "),
        (b"\xff{}", 400, "POST body could not be decoded as JSON: "),
        ("[]", 400, "POST body should be a JSON dictionary."),
        ("null", 400, "POST body should be a JSON dictionary."),
        ("{}", 400, "A value is not provided for the 'data' parameter."),
        ('{"factor": 1}', 400, "A value is not provided for the 'data' parameter."),
        ('{"data": [[1]]}', 500, SCRIPT_ERROR),
        ('{"data": [1, 2]}', 500, SCRIPT_ERROR),
        ('{"data": [["a", "b"]]}', 500, SCRIPT_ERROR),
        ('{"data": [[1, NaN]]}', 500, SCRIPT_ERROR),
        ('{"data": null}', 500, SCRIPT_ERROR),
        ('{"data": [[1, 2]], "factor": "x"}', 500, SCRIPT_ERROR),
    ],
)
def test_bodies_that_do_not_fit(decorated: Served, body: str | bytes, status: int, message: str) -> None:
    answer = decorated.post(body)
    assert answer.status == status
    assert answer.message.startswith(message)
    assert answer.headers["x-ms-run-function-failed"] == str(status == 500)
    assert "x-ms-run-fn-exec-ms" not in answer.headers


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("APPLICATION/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        (None, 415),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/jsonx", 415),
    ],
)
def test_a_decorated_script_takes_json_only(decorated: Served, content_type: str | None, status: int) -> None:
    answer = decorated.post('{"data": [[1, 2]]}', {} if content_type is None else {"Content-Type": content_type})
    assert answer.status == status
    if status == 415:
        assert answer.json == {"message": "Expects Content-Type to be application/json"}


@pytest.mark.parametrize(
    ("query", "status", "result"),
    [
        ("?data=[[1,2]]&factor=7", 200, [[[1, 2]], "int64", 7]),
        ("?data=%5B%5B1,2%5D%5D&unknown=1", 200, [[[1, 2]], "int64", 10]),
        ("?data=[1,2]&data=[3,4]", 200, [[[1, 2], [3, 4]], "int64", 10]),
        ("", 400, {"message": "A value is not provided for the 'data' parameter."}),
        ("?data=x", 500, {"message": SCRIPT_ERROR}),
    ],
)
def test_a_query_gives_the_arguments_too(decorated: Served, query: str, status: int, result: object) -> None:
    answer = decorated.get(f"/score{query}")
    assert (answer.status, answer.json) == (status, result)


def test_output_schema_alone_asks_for_json_too(kitchen: Kitchen) -> None:
    script = (
        STANDARD
        + """
    @output_schema(StandardPythonParameterType([1]))
    def run(data):
        return data
    """
    )
    with kitchen.serve(script) as served:
        assert served.post('{"data": [2]}').json == [2]
        assert served.post("[2]").message == "POST body should be a JSON dictionary."
        assert served.post("2", {"Content-Type": "text/plain"}).status == 415


def test_request_headers(kitchen: Kitchen) -> None:
    script = """
        def init():
            pass

        def run(data, request_headers):
            return [type(request_headers).__name__, request_headers]
    """
    sent = {"content-type": "text/x", "x-MS-request-id": "B", "traceparent": "00-1", "Authorization": "Bearer t"}
    with kitchen.serve(script) as served:
        kind, found = served.post("1", {**sent, "x-list": "a,b"}).json
        assert kind == "dict"
        expected = {"Content-Type": "text/x", "X-Ms-Request-Id": "B", "Traceparent": "00-1", "X-List": "a,b"}
        assert {**found, **expected, "Authorization": "Bearer t", "Content-Length": "1"} == found
        assert served.get("/score").json[1]["Host"] == f"127.0.0.1:{served.port}"


def test_request_headers_cannot_be_given_in_the_body(kitchen: Kitchen) -> None:
    script = (
        STANDARD
        + """
    @input_schema("data", StandardPythonParameterType(1))
    def run(data, request_headers, more=5):
        return [data, request_headers.get("X-A"), more]
    """
    )
    with kitchen.serve(script) as served:
        answer = served.post('{"data": 2, "request_headers": {"X-A": "forged"}}', {**JSON, "x-a": "real"})
        assert answer.json == [2, "real", 5]


# --- 5.6: raw requests ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw(kitchen: Kitchen) -> Iterator[Served]:
    script = """
        import json

        from azureml.contrib.services.aml_request import AMLRequest, rawhttp
        from azureml.contrib.services.aml_response import AMLResponse

        def init():
            pass

        ANSWERS = {
            "json": lambda: AMLResponse(json.dumps({"m": 1}), 201, {"X-A": "1,2", "Content-Type": "application/json"}),
            "json_str": lambda: AMLResponse({"m": 1}, 200, json_str=True),
            "none": lambda: AMLResponse(None, 200),
            "text": lambda: AMLResponse("h\\u00e9", 200),
            "bytes": lambda: AMLResponse(b"\\x00\\xff", 200),
            "lower": lambda: AMLResponse("<x/>", 200, {"content-type": "application/xml"}),
            "500": lambda: AMLResponse("bad", 500),
            "418": lambda: AMLResponse("tea", 418),
            "failed": lambda: AMLResponse("bad", 400, {}, False, True),
            "204": lambda: AMLResponse("", 204),
            "ids": lambda: AMLResponse("", 200, {"x-ms-request-id": "mine", "x-request-id": "mine"}),
            "split": lambda: AMLResponse("", 200, {"X-A": "a\\r\\nX-B: b"}),
            "value": lambda: {"a": 1},
            "raise": lambda: 1 / 0,
        }

        @rawhttp
        def run(request):
            wanted = request.args.get("answer")
            if wanted == "cors":
                response = AMLResponse("ok", 200)
                response.headers["Allow"] = "OPTIONS, GET, POST"
                response.headers["Access-Control-Allow-Origin"] = "*"
                return response
            if wanted:
                return ANSWERS[wanted]()
            return {
                "class": isinstance(request, AMLRequest),
                "method": request.method,
                "path": request.path,
                "full_path": request.full_path,
                "url": request.url,
                "args": [request.args.to_dict(), request.args.getlist("a")],
                "data": request.data.decode("latin-1"),
                "get_data": request.get_data(False).decode("latin-1"),
                "json": request.get_json(silent=True),
                "form": request.form.to_dict(),
                "files": {name: [file.filename, file.read().decode("latin-1")] for name, file in request.files.items()},
                "header": request.headers.get("X-a"),
            }
    """
    with kitchen.serve(script) as served:
        yield served


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_raw_script_sees_the_request(raw: Served, method: str) -> None:
    body = '{"q": 1}' if method == "POST" else None
    seen = raw.ask(method, "/score?a=1&a=2", body, {**JSON, "x-A": "é".encode().decode("latin-1")}).json
    assert seen["class"] is True
    assert (seen["method"], seen["path"], seen["full_path"]) == (method, "/score", "/score?a=1&a=2")
    assert seen["url"] == f"http://127.0.0.1:{raw.port}/score?a=1&a=2"
    assert seen["args"] == [{"a": "1"}, ["1", "2"]]
    assert seen["data"] == seen["get_data"] == (body or "")
    assert seen["json"] == ({"q": 1} if body else None)
    assert seen["header"] == "Ã©"


def test_a_raw_script_gets_forms_files_and_any_bytes(raw: Served) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG\r\n'
    field = b'--B\r\nContent-Disposition: form-data; name="t"\r\n\r\nv\r\n--B--\r\n'
    seen = raw.post(part + field, {"Content-Type": "multipart/form-data; boundary=B"}).json
    assert (seen["files"], seen["form"]) == ({"image": ["a.png", "\x89PNG"]}, {"t": "v"})
    seen = raw.post("a=1&b=%20", {"Content-Type": "application/x-www-form-urlencoded"}).json
    assert seen["form"] == {"a": "1", "b": " "}
    assert raw.post(bytes(range(256)), {}).json["data"] == bytes(range(256)).decode("latin-1")


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_type", "failed"),
    [
        ("json", 201, b'{"m": 1}', "application/json", False),
        ("json_str", 200, b'{"m": 1}', "application/json", False),
        ("none", 200, b"{}", "application/json", False),
        ("text", 200, "hé".encode(), "text/html; charset=utf-8", False),
        ("bytes", 200, b"\x00\xff", "text/html; charset=utf-8", False),
        ("lower", 200, b"<x/>", "application/xml", False),
        ("500", 500, b"bad", "text/html; charset=utf-8", True),
        ("418", 418, b"tea", "text/html; charset=utf-8", False),
        ("failed", 400, b"bad", "text/html; charset=utf-8", True),
        ("204", 204, b"", "text/html; charset=utf-8", False),
    ],
)
def test_responses_of_the_script(
    raw: Served, wanted: str, status: int, body: bytes, content_type: str, failed: bool
) -> None:
    answer = raw.ask("POST", f"/score?answer={wanted}", "x")
    assert (answer.status, answer.body) == (status, body)
    assert answer.all("content-type") == [content_type]
    assert answer.all("x-ms-run-function-failed") == [str(failed)]
    assert "x-ms-run-fn-exec-ms" in answer.headers


def test_headers_of_the_script(raw: Served) -> None:
    assert raw.get("/score?answer=json").all("x-a") == ["1", "2"]
    preflight = raw.ask("OPTIONS", "/score?answer=cors")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["allow"] == "OPTIONS, GET, POST"
    ids = raw.ask("GET", "/score?answer=ids", headers={"x-request-id": "yours"})
    assert (ids.all("x-request-id"), ids.all("x-ms-request-id")) == (["yours"], ["yours"])
    split = raw.get("/score?answer=split")
    assert (split.status, split.all("x-b")) == (500, [])


def test_a_raw_script_may_return_a_value_or_raise(raw: Served) -> None:
    assert raw.get("/score?answer=value").json == {"a": 1}
    assert (raw.get("/score?answer=raise").status, raw.get("/score?answer=raise").message) == (500, SCRIPT_ERROR)
    assert [raw.ask(method, "/score").status for method in ("PUT", "DELETE", "PATCH")] == [405, 405, 405]


# --- 5.8, 5.9: what comes back ----------------------------------------------------------------------------------------


RETURNS = """
    import collections, datetime, json, os, sys

    import numpy as np
    import pandas as pd

    def init():
        pass

    def run(data):
        return eval(data)
"""


@pytest.fixture(scope="module")
def returns(kitchen: Kitchen) -> Iterator[Served]:
    with kitchen.serve(RETURNS) as served:
        yield served


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("[1, 2.5, None]", "[1,2.5,null]"),
        ("(1, 'é')", '[1,"\\u00e9"]'),
        ("True", "true"),
        ("'text'", '"text"'),
        ("json.dumps({'a': 1})", '"{\\"a\\":1}"'),
        ("None", "{}"),
        ("{}", "{}"),
        ("0", "0"),
        ("''", '""'),
        ("{1: 2, None: 3, True: 4}", '{"1":4,"null":3}'),
        ("10 ** 30", "1000000000000000000000000000000"),
        ("[float('nan'), float('inf'), -float('inf')]", "[NaN,Infinity,-Infinity]"),
        ("np.float64(1.5)", "1.5"),
        ("'\\ud800'", '"\\ud800"'),
        ("collections.OrderedDict(a=1)", '{"a":1}'),
    ],
)
def test_values_become_json(returns: Served, value: str, body: str) -> None:
    answer = returns.post(value)
    assert (answer.status, answer.text.replace(", ", ",").replace(": ", ":")) == (200, body.replace(": ", ":"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-ms-run-function-failed"] == "False"
    whole, _, decimals = answer.headers["x-ms-run-fn-exec-ms"].partition(".")
    assert whole.isdigit()
    assert len(decimals) == 3


@pytest.mark.parametrize(
    "value",
    [
        "np.arange(3)",
        "np.int64(1)",
        "pd.DataFrame({'a': [1]})",
        "datetime.datetime(2020, 1, 1)",
        "b'x'",
        "{1, 2}",
        "{(1,): 2}",
        "object()",
        "run",
    ],
)
def test_values_that_json_cannot_hold(returns: Served, value: str) -> None:
    answer = returns.post(value)
    assert (answer.status, answer.json) == (500, {"message": INTERNAL_ERROR})
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" not in answer.headers
    assert "is not JSON serializable" in returns.log or "keys must be str" in returns.log


@pytest.mark.parametrize(
    ("mode", "status", "raised", "unencodable", "lost"),
    [
        (
            "cloud",
            502,
            "no luck é <b>",
            "An unexpected internal error occurred. Encountered Exception: What run() ",
            502,
        ),
        ("container", 500, "no luck é <b>", "An unexpected internal error occurred. Encountered Exception: Trace", 502),
        ("json", 500, json.dumps({"message": SCRIPT_ERROR}), json.dumps({"message": INTERNAL_ERROR}), 502),
    ],
)
def test_the_three_ways_to_tell_of_an_error(
    kitchen: Kitchen, mode: str, status: int, raised: str, unencodable: str, lost: int
) -> None:
    script = """
        import os

        def init():
            pass

        def run(data):
            if data == "raise":
                raise ValueError("no luck \\u00e9 <b>")
            if data == "exit":
                os._exit(9)
            return {data}
    """

    def told(answer: Answer) -> tuple[int, str, str, str]:
        kind = answer.headers["content-type"]
        return answer.status, answer.text.replace('":"', '": "'), kind, answer.headers["x-ms-run-function-failed"]

    kind = "application/json" if mode == "json" else "text/html; charset=utf-8"
    with kitchen.serve(script, mode=mode) as served:
        assert told(served.post("raise")) == (status, raised, kind, "True")
        assert "ValueError: no luck é <b>" in served.log
        found = told(served.post("set"))
        assert (found[0], found[1].startswith(unencodable), found[2:]) == (status, True, (kind, "False"))
        gone = served.post("exit")
        assert (gone.status, "Replica closed connection before replying" in gone.text) == (lost, True)
        until(lambda: served.get("/").status == 200)


def test_sys_exit_costs_one_request_and_not_the_service(returns: Served) -> None:
    first = returns.post("os.getpid()").json
    answer = returns.post("sys.exit('enough')")
    assert (answer.status, answer.message) == (502, "Replica closed connection before replying")
    until(lambda: returns.get("/").status == 200)
    assert returns.post("os.getpid()").json != first
    assert "sys.exit" in returns.log


# --- 5.10, 5.11, 6.5: schemas and the documents -----------------------------------------------------------------------


VALIDATORS: dict[str, tuple[Any, str, str]] = {
    "2": (OpenAPIV2SpecValidator, "swagger", "2.0"),
    "3": (OpenAPIV30SpecValidator, "openapi", "3.0.3"),
    "3.1": (OpenAPIV31SpecValidator, "openapi", "3.1.0"),
}


def document(served: Served, version: str) -> dict[str, Any]:
    """The document of that version, which must be valid."""
    answer = served.get(f"/swagger.json?version={version}")
    assert answer.status == 200, answer.text
    validator, key, value = VALIDATORS[version]
    found: dict[str, Any] = answer.json
    assert found[key] == value
    validator(found).validate()
    return found


def schemas(found: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = found["definitions"] if "definitions" in found else found["components"]["schemas"]
    return known


def without_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the numbers of items and the ranges."""
    kept = {key: value for key, value in schema.items() if not key.startswith(("min", "max"))}
    return {**kept, "items": without_bounds(kept["items"])} if "items" in kept else kept


def test_the_documents_are_valid_and_hold_the_sample(decorated: Served) -> None:
    assert decorated.get("/swagger.json").json == document(decorated, "2")
    for version in VALIDATORS:
        given = schemas(document(decorated, version))
        integers = {"type": "array", "items": {"type": "integer", "format": "int64"}}
        data = {"type": "array", "items": integers, "format": "numpy.ndarray"}
        found = given["ServiceInput"]
        # What the original wrote, and besides it what makes the shape precise (06-openapi.md).
        assert (found["type"], found["required"]) == ("object", ["data"])
        assert found["example"] == {"data": [[1, 2], [3, 4]], "factor": 1.5}
        assert found["properties"]["factor"] == {"type": "number", "format": "double"}
        assert without_bounds(found["properties"]["data"]) == data
        assert given["ServiceOutput"]["example"] == [1.5]
        assert given["ErrorResponse"]["properties"]["message"] == {"type": "string"}
    assert decorated.post(json.dumps(given["ServiceInput"]["example"])).status == 200


def test_the_shape_of_the_document(decorated: Served) -> None:
    found = document(decorated, "2")
    name = decorated.service.name
    about = f"API specification for the Azure Machine Learning service {name}"
    assert found["info"] == {"title": name, "description": about, "version": "1.0"}
    assert (found["schemes"], found["consumes"], found["produces"]) == (["https"], *[["application/json"]] * 2)
    bearer = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}
    assert found["securityDefinitions"] == {"Bearer": bearer}
    assert found["paths"]["/"]["get"]["operationId"] == "ServiceHealthCheck"
    score = found["paths"]["/score"]["post"]
    assert (score["operationId"], score["security"]) == ("RunMLService", [{"Bearer": []}, {}])  # no key is asked for
    (parameter,) = score["parameters"]
    assert parameter["name"] == "serviceInputPayload"
    assert parameter["schema"] == {"$ref": "#/definitions/ServiceInput"}
    assert score["responses"]["200"]["schema"] == {"$ref": "#/definitions/ServiceOutput"}
    assert found["paths"]["/swagger.json"]["get"]["operationId"] == "GetSwaggerSpec"


@pytest.mark.parametrize("version", VALIDATORS)
@pytest.mark.parametrize("script", ["echo", "raw"])
def test_scripts_without_a_schema_have_documents_too(request: pytest.FixtureRequest, script: str, version: str) -> None:
    served: Served = request.getfixturevalue(script)
    given = schemas(document(served, version))
    assert given["ServiceInput"] == given["ServiceOutput"] == {"type": "object", "example": {}}


@pytest.mark.parametrize(("asked", "key"), [("2.0", "swagger"), ("3.0", "openapi")])
def test_aliases_of_versions(echo: Served, asked: str, key: str) -> None:
    assert key in echo.get(f"/swagger.json?version={asked}").json


@pytest.mark.parametrize("asked", ["9", "", "two"])
def test_versions_that_are_none(echo: Served, asked: str) -> None:
    answer = echo.get(f"/swagger.json?version={asked}")
    expected = f"Swagger version [{asked}] is not valid. Supported versions: [2, 3, 3.1]."
    assert (answer.status, answer.message) == (404, expected)


FRAME: dict[str, list[Any]] = {
    "a": [1, 2],
    "b": ["x", "y"],
    "t": ["2020-01-01T00:00:00.000", "2020-01-02T00:00:00.000"],
}
ORIENTS: dict[str, tuple[object, list[str]]] = {
    "records": ([{"a": 1, "b": "x", "t": FRAME["t"][0]}, {"a": 2, "b": "y", "t": FRAME["t"][1]}], ["2", "3", "3.1"]),
    "values": ([[1, "x", FRAME["t"][0]], [2, "y", FRAME["t"][1]]], ["3", "3.1"]),
    "split": (
        {"columns": ["a", "b", "t"], "index": [0, 1], "data": [[1, "x", FRAME["t"][0]], [2, "y", FRAME["t"][1]]]},
        ["3", "3.1"],
    ),
    "index": (
        {"0": {"a": 1, "b": "x", "t": FRAME["t"][0]}, "1": {"a": 2, "b": "y", "t": FRAME["t"][1]}},
        ["2", "3", "3.1"],
    ),
    "columns": ({name: {"0": values[0], "1": values[1]} for name, values in FRAME.items()}, ["2", "3", "3.1"]),
}


@pytest.mark.parametrize("orient", ORIENTS)
def test_frames_of_every_orient(kitchen: Kitchen, orient: str) -> None:
    sample, versions = ORIENTS[orient]
    script = (
        PANDAS
        + f"""
    frame = pd.DataFrame({{"a": [1, 2], "b": ["x", "y"], "t": pd.to_datetime(["2020-01-01", "2020-01-02"])}})

    @input_schema("data", PandasParameterType(frame, orient="{orient}"))
    @output_schema(PandasParameterType(frame))
    def run(data):
        return [type(data).__name__, data.shape, data.iloc[:, 0].tolist(), data.iloc[:, 1].tolist()]
    """
    )
    with kitchen.serve(script) as served:
        for version in versions:
            given = schemas(document(served, version))["ServiceInput"]
            assert given["example"] == {"data": sample}
            assert given["properties"]["data"]["format"] == f"pandas.DataFrame:{orient}"
        if "2" not in versions:
            answer = served.get("/swagger.json")
            expected = (
                "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
            )
            assert (answer.status, answer.message) == (404, expected)
        answer = served.post(json.dumps({"data": sample}))
        assert (answer.status, answer.json) == (200, ["DataFrame", [2, 3], [1, 2], ["x", "y"]])
        assert served.post('{"data": "x"}').status == 500


def test_nested_standard_types(kitchen: Kitchen) -> None:
    script = (
        PANDAS
        + """
    import datetime

    S = StandardPythonParameterType

    @input_schema("Inputs", S({
        "frame": PandasParameterType(pd.DataFrame({"a": [1]})),
        "array": NumpyParameterType(np.array([1.5])),
        "text": S("x"),
        "plain": 3,
    }))
    @input_schema("GlobalParameters", S({"method": "predict"}), convert_to_provided_type=False)
    @input_schema("when", S(datetime.datetime(2020, 1, 2, 3, 4, 5)))
    @input_schema("blob", S(b"abc"))
    @output_schema(S({"Results": [1.5]}))
    def run(Inputs, GlobalParameters=None, when=datetime.datetime(2019, 1, 1), blob=b""):
        kinds = {name: type(value).__name__ for name, value in Inputs.items()}
        return {"Results": [kinds, GlobalParameters, str(when), str(blob)]}
    """
    )
    inputs = {"frame": [{"a": 2}], "array": [1], "text": "q", "plain": 1}
    kinds = {"frame": "DataFrame", "array": "ndarray", "text": "str", "plain": "int"}
    with kitchen.serve(script) as served:
        assert served.post(json.dumps({"Inputs": inputs})).json == {
            "Results": [kinds, None, "2019-01-01 00:00:00", "b''"]
        }
        body = {
            "Inputs": {"text": "q"},
            "GlobalParameters": {"method": "p"},
            "when": "2021-02-03T04:05:06Z",
            "blob": base64.b64encode(b"abc").decode(),
        }
        expected = [{"text": "str"}, {"method": "p"}, "2021-02-03 04:05:06+00:00", "b'abc'"]
        assert served.post(json.dumps(body)).json == {"Results": expected}
        assert served.post('{"Inputs": {"text": 1}}').status == 500
        assert served.post('{"Inputs": {}, "when": 5}').status == 500
        for version in VALIDATORS:
            example = schemas(document(served, version))["ServiceInput"]["example"]
            assert example["Inputs"] == {"frame": [{"a": 1}], "array": [1.5], "text": "x", "plain": 3}
            assert example["blob"] == "YWJj"


def test_documents_of_the_users_own(kitchen: Kitchen) -> None:
    files = {"swagger.json": '{"mine": 2}', "swagger3.json": '{"mine": 3}'}
    with kitchen.serve(ECHO, files=files) as served:
        assert served.get("/swagger.json").json == {"mine": 2}
        assert served.get("/swagger.json?version=3").json == {"mine": 3}
        assert document(served, "3.1")["openapi"] == "3.1.0"


# --- 6.2, 6.3, 6.4: routes and ids ------------------------------------------------------------------------------------


def test_the_health_route(echo: Served) -> None:
    answer = echo.get("/")
    assert (answer.status, answer.body) == (200, b"Healthy")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    head = echo.ask("HEAD", "/")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "7")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("PUT", "/score", 405),
        ("DELETE", "/score", 405),
        ("PATCH", "/score", 405),
        ("POST", "/swagger.json", 405),
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/score/", 404),
        ("GET", "/Score", 404),
    ],
)
def test_paths_and_methods_that_are_not_there(echo: Served, method: str, path: str, status: int) -> None:
    answer = echo.ask(method, path, "x" if method != "GET" else None, {"x-ms-request-id": "A" * 101})
    assert answer.status == status
    assert answer.message
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert not any("request-id" in name for name in answer.headers)


def test_options_of_an_ordinary_script(echo: Served) -> None:
    answer = echo.ask("OPTIONS", "/score", headers={"x-request-id": "A"})
    assert (answer.status, answer.body, answer.headers["x-request-id"]) == (200, b"", "A")


A, B, C, NEW = "A", "B", "C", "new"


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ((None, None, None), (NEW, NEW, None)),
        ((A, None, None), (A, A, None)),
        ((None, B, None), (NEW, B, B)),
        ((None, None, C), (NEW, C, C)),
        ((A, B, None), (A, B, B)),
        ((None, B, C), (NEW, B, C)),
        ((A, None, C), (A, C, C)),
        ((A, B, C), (A, B, C)),
    ],
)
def test_the_table_of_ids(echo: Served, sent: tuple[str | None, ...], received: tuple[str | None, ...]) -> None:
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    answer = echo.post("1", {name: value for name, value in zip(names, sent, strict=True) if value is not None})
    fresh = answer.headers["x-request-id"]
    if received[0] == NEW:
        uuid.UUID(fresh)
    expected = [[] if value is None else [fresh if value == NEW else value] for value in received]
    assert [answer.all(name) for name in names] == expected


@pytest.mark.parametrize("path", ["/", "/score", "/swagger.json"])
@pytest.mark.parametrize("name", ["x-request-id", "x-ms-request-id", "x-ms-client-request-id"])
def test_ids_have_at_most_a_hundred_characters(echo: Served, name: str, path: str) -> None:
    assert echo.ask("GET", path, headers={name: "A" * 100}).status == 200
    answer = echo.ask("GET", path, headers={name: "A" * 101})
    which = "x-request-id" if name == "x-request-id" else "x-ms-request-id and x-ms-client-request-id"
    assert (answer.status, answer.message) == (431, f"{which} must not exceed 100 characters")


def test_trace_ids_are_repeated_as_they_are(echo: Served) -> None:
    assert echo.post("1", {"TraceId": "t-1"}).all("traceid") == ["t-1"]
    assert echo.post("1", {}).all("traceid") == []


# --- scripts that do what scripts do ----------------------------------------------------------------------------------


def test_a_script_that_prints_ten_megabytes(kitchen: Kitchen) -> None:
    script = """
        import sys

        def init():
            pass

        def run(data):
            for number in range(100):
                print("x" * 50_000)
                print("y" * 50_000, file=sys.stderr)
            print("the last line é")
            return "done"
    """
    with kitchen.serve(script) as served:
        assert served.post("").json == "done"
        until(lambda: "the last line é" in served.log)


def test_a_script_that_starts_processes(kitchen: Kitchen) -> None:
    script = """
        import multiprocessing, os, subprocess, sys

        def init():
            pass

        def double(value):
            return value * 2

        def run(data):
            if data == "fork":
                read, write = os.pipe()
                child = os.fork()
                if child == 0:
                    os.write(write, b"child")
                    os._exit(0)
                os.waitpid(child, 0)
                return os.read(read, 100).decode()
            if data == "leaves":
                if os.fork() == 0:
                    sys.exit(0)
                return os.wait()[1]
            if data == "falls through":
                return [os.getpid(), os.fork()][0]
            if data == "pool":
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    return pool.map(double, [1, 2, 3])
            return subprocess.check_output(["echo", data], text=True)
    """
    with kitchen.serve(script) as served:
        assert served.post("hello").json == "hello\n"
        assert served.post("fork").json == "child"
        assert served.post("leaves").json == 0
        assert served.post("pool").json == [2, 4, 6]
        pids = [served.post("falls through").json for _ in range(3)]
        assert len(set(pids)) == 1, "a child answered in its parent's place"
        assert served.post("again").json == "again\n"


def test_threads_logging_and_the_working_folder(kitchen: Kitchen) -> None:
    script = """
        import logging, os, threading, time

        logging.basicConfig(level=logging.DEBUG, force=True)

        def init():
            threading.Thread(target=lambda: time.sleep(3600)).start()
            logging.getLogger("mine").debug("init of the script")

        def run(data):
            if data == "move":
                os.chdir("/")
            found = []
            threads = [threading.Thread(target=found.append, args=(number,)) for number in range(8)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            logging.warning("scored %s", data)
            return [sorted(found), os.getcwd() == os.environ["AML_APP_ROOT"]]
    """
    with kitchen.serve(script) as served:
        assert served.post("x").json == [list(range(8)), True]
        assert served.post("move").json == [list(range(8)), False]
        assert served.post("x").json == [list(range(8)), False]
        assert "init of the script" in served.log
        assert "scored x" in served.log
        started = time.monotonic()
        served.service.reload()
        served.service.stop()
        assert time.monotonic() - started < 50, "a thread of the script kept its worker to the end of the drain"


def test_a_script_that_takes_the_signals(kitchen: Kitchen) -> None:
    script = """
        import os, signal

        def init():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)

        def run(data):
            return os.getpid()
    """
    with kitchen.serve(script) as served:
        worker = served.post("").json
        os.kill(worker, signal.SIGTERM)
        assert served.post("").status == 200
        worker = served.post("").json
        started = time.monotonic()
        served.service.stop()
        assert time.monotonic() - started < 50, "it was waited for to the end of the drain"
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_long_number_of_requests_on_one_connection_keeps_their_order(echo: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=10)
    try:
        for number in range(200):
            connection.request("POST", "/score", str(number))
            assert json.loads(connection.getresponse().read()) == ["str", str(number)]
    finally:
        connection.close()


SIBLINGS = {
    "sibling.py": "NAME = 'of the source folder'\n",
    "package/__init__.py": "",
    "package/inner.py": "NAME = 'of a package'\n",
    "sub/beside.py": "NAME = 'beside the script'\n",
    "extradata.json": '{"k": "extra"}',
}


def test_a_script_imports_and_opens_what_was_shipped_with_it(kitchen: Kitchen) -> None:
    script = """
        import json

        import sibling
        from package import inner

        def init():
            global extra
            with open("./source_directory/extradata.json") as file:
                extra = json.load(file)

        def run(data):
            return [sibling.NAME, inner.NAME, extra]
    """
    with kitchen.serve(script, files=SIBLINGS) as served:
        assert served.post("").json == ["of the source folder", "of a package", {"k": "extra"}]


def test_a_script_in_a_sub_folder(kitchen: Kitchen) -> None:
    script = """
        import os

        import sibling
        from sub import beside

        def init():
            pass

        def run(data):
            return [sibling.NAME, beside.NAME, os.path.relpath(__file__, os.environ["AML_APP_ROOT"])]
    """
    with kitchen.serve(script, files=SIBLINGS, entry_script="sub/score.py") as served:
        expected = ["of the source folder", "beside the script", "source_directory/sub/score.py"]
        assert served.post("").json == expected


@pytest.mark.parametrize("name", ["json.py", "my-score.py", "score.v2.py", "main.py"])
def test_scripts_with_any_name(kitchen: Kitchen, name: str) -> None:
    with kitchen.serve(ECHO, files={}, entry_script=name) as served:
        assert served.post("1").json == ["str", "1"]


def test_the_names_of_azureml(kitchen: Kitchen) -> None:
    script = """
        import azureml.core
        from azureml.contrib.services.aml_request import AMLRequest, rawhttp
        from azureml.contrib.services.aml_response import AMLResponse
        from azureml.core.model import Model
        from azureml.exceptions import WebserviceException
        from azureml.monitoring import ModelDataCollector

        def init():
            print("This is init, SDK", azureml.core.VERSION)

        def run(data):
            if data == "collect":
                return ModelDataCollector("model", designation="inputs").collect([1])
            try:
                return Model.get_model_path(None)
            except WebserviceException as error:
                return AMLResponse(type(error).__name__, 200)
    """
    with kitchen.serve(script, mode="cloud") as served:
        assert served.post("").text == "WebserviceException"
        assert "This is init, SDK 1." in served.log
        assert served.post("collect").json == {}
        assert "model data collection is not switched on" in served.log


def test_a_script_that_catches_its_own_errors(kitchen: Kitchen) -> None:
    script = """
        import json

        def init():
            pass

        def run(raw_data):
            try:
                data = json.loads(raw_data)["data"]
                return {"result": [float("nan") if value is None else value for value in data]}
            except Exception as error:
                return json.dumps({"error": str(error)})
    """
    with kitchen.serve(script) as served:
        answer = served.post("{}")
        assert (answer.status, json.loads(answer.json)) == (200, {"error": "'data'"})
        assert math.isnan(served.post('{"data": [null]}').json["result"][0])
        assert served.service.run("{}") == '{"error": "\'data\'"}'

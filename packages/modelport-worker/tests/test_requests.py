"""How requests become arguments, and what ``run`` returns becomes answers."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml.contrib.services.aml_response import AMLResponse
from driving import App, WorkerProcess
from interpreters import THIS_PYTHON, interpreter_or_skip
from modelport_worker.answers import answer_of
from modelport_worker.arguments import KNOWN_HEADS, MOST_HEAD_BYTES, MOST_HEADS, describe, json_or_text
from modelport_worker.bodies import close_body
from modelport_worker.frames import MORE, RAISED, RETURNED, RUN_FAILED, SCORE, UNSERIALIZABLE
from modelport_worker.link import Frame

DECORATED = """
    import numpy as np
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    from inference_schema.schema_decorators import input_schema, output_schema

    def init():
        pass

    @input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
    @input_schema("scale", StandardPythonParameterType(2))
    @output_schema(StandardPythonParameterType([1.5]))
    def run(data, scale=3):
        return (data.sum(axis=1) * scale).tolist()
"""


@pytest.fixture(params=["old", "new"])
def schema_python(request: pytest.FixtureRequest) -> str:
    """Python 3.6 with inference-schema 1.0.2, and 3.11 with 1.8."""
    if request.param == "new":
        return THIS_PYTHON
    python: str = request.getfixturevalue("old_environment")
    return python


def test_decorated_script(app: App, schema_python: str) -> None:
    with app.run(schema_python, DECORATED) as worker:
        ready = worker.start()
        assert (ready["input"], ready["wants_request"]) == ("json", False)
        assert ready["parameters"] == [{"name": "data", "required": True}, {"name": "scale", "required": False}]
        assert sorted(ready["schemas"]) == ["2.0", "3.0", "3.1"]
        schemas = ready["schemas"]["2.0"]
        assert schemas["input"]["properties"]["data"]["type"] == "array"
        assert schemas["input"]["example"] == {"data": [[1.5, 2.0]], "scale": 2}
        assert schemas["output"]["type"] == "array"
        assert worker.ask('{"data": [[1, 2]], "scale": 10}').json == [30.0]
        assert worker.ask('{"data": [[1, 2]], "unknown": 1}').json == [9.0]
        assert worker.ask(query="data=[[1,2]]&scale=2").json == [6.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "POST body is empty. Expecting a JSON dictionary."),
        (b"[1]", "POST body should be a JSON dictionary."),
        (b'{"scale": 1}', "A value is not provided for the 'data' parameter."),
        (b"{", "POST body could not be decoded as JSON: "),
        (b'{"data": "\xff"}', "POST body could not be decoded as JSON: "),
        (b"[" * 100_000, "POST body could not be decoded as JSON: "),
    ],
)
def test_rejected_bodies(app: App, schema_python: str, body: bytes, message: str) -> None:
    with app.run(schema_python, DECORATED) as worker:
        worker.start()
        request_id = worker.send(body)
        answer = worker.receive()
        assert answer is not None
        assert (answer.id, answer.code, answer.flags) == (request_id, 400, 0)
        assert answer.micros == 0, "run() was not called"
        assert answer.json["message"].startswith(message)
        assert worker.ask('{"data": [[1, 2]]}').code == 200


def test_sample_mismatch_is_the_scripts_failure(app: App, schema_python: str) -> None:
    with app.run(schema_python, DECORATED) as worker:
        worker.start()
        answer = worker.ask('{"data": [1, 2]}')
        assert answer.flags == RAISED | RUN_FAILED
        assert answer.text


def test_query_without_the_parameter(app: App) -> None:
    with app.run(THIS_PYTHON, DECORATED) as worker:
        worker.start()
        answer = worker.ask(query="")
        assert (answer.code, answer.json) == (400, {"message": "A value is not provided for the 'data' parameter."})


def test_schema_under_decorators_of_the_users_own(app: App) -> None:
    code = (
        DECORATED.replace("def init", "from functools import wraps\n\n    def init")
        + """
    def retried(function, zone="a", times=3):
        @wraps(function)
        def call(*args, **kwargs):
            assert times and zone
            return function(*args, **kwargs)
        return call

    run = retried(run)
    """
    )
    with app.run(THIS_PYTHON, code) as worker:
        ready = worker.start()
        assert ready["input"] == "json"
        assert ready["schemas"]["3.1"]["input"]["properties"]["data"]["type"] == "array"
        assert worker.ask('{"data": [[1, 2]]}').json == [9.0]


def test_output_schema_alone_makes_the_keys_of_the_body_arguments(app: App) -> None:
    code = """
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
        from inference_schema.schema_decorators import output_schema

        def init():
            pass

        @output_schema(StandardPythonParameterType("x"))
        def run(data):
            return data
    """
    with app.run(THIS_PYTHON, code) as worker:
        ready = worker.start()
        assert ready["input"] == "json"
        assert ready["schemas"]["2.0"]["output"] == {"type": "string", "example": "x"}
        assert worker.ask('{"data": [1]}').json == [1]
        assert worker.ask("not json").code == 400


def test_nan_in_a_sample_becomes_null_and_is_noted(app: App) -> None:
    with app.run(THIS_PYTHON, DECORATED.replace("[[1.5, 2.0]]", "[[float('nan'), 2.0]]")) as worker:
        ready = worker.start()
        assert ready["schemas"]["2.0"]["input"]["example"]["data"] == [[None, 2.0]]
        assert "NaN" in ready["notes"][0]


OWN_TYPE = """
    import numpy as np
    from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
    from inference_schema.schema_decorators import input_schema

    class Own(AbstractParameterType):
        def __init__(self, told):
            self.told = told
            super(Own, self).__init__(1)

        def input_to_swagger(self):
            return dict(self.told, type="integer", example=1)

        def supported_versions(self):
            return ["2.0", "3.0", "3.1"]

        def deserialize_input(self, input_data):
            return input_data

    circle = {}
    circle["items"] = circle

    def init():
        pass

    @input_schema("data", Own(SAMPLE))
    def run(data):
        return data
"""


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ("{'default': np.int64(7)}", {"type": "integer", "default": "7"}),
        ("{'enum': {5}, 'minimum': float('nan')}", {"type": "integer", "enum": "{5}", "minimum": None}),
        ("{'properties': {(1, 2): 3, 4: 5}}", {"type": "integer", "properties": {"4": 5}}),
    ],
)
def test_what_json_lacks_is_told_as_text_and_noted(app: App, sample: str, told: dict[str, Any]) -> None:
    """v1's server starts with such a schema, scores, and answers 500 at /swagger.json alone."""
    with app.run(THIS_PYTHON, OWN_TYPE.replace("SAMPLE", sample)) as worker:
        ready = worker.start()
        assert ready["schemas"]["2.0"]["input"]["properties"]["data"] == told
        assert "what JSON lacks" in ready["notes"][0]
        assert worker.ask('{"data": 3}').json == 3


def test_a_schema_that_holds_itself_is_an_error(app: App) -> None:
    with app.run(THIS_PYTHON, OWN_TYPE.replace("SAMPLE", "circle")) as worker:
        failure = worker.failure()
        assert failure["phase"] == "schema"
        assert failure["message"] == "A schema of run() cannot be written as JSON: Circular reference detected"


ECHO = """
    def init():
        pass

    def run(data):
        return data
"""


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "{}"),
        ("a=1&b=x&b=2", '{"a": 1, "b": ["x", 2]}'),
        ("a=%7B%22k%22%3A+true%7D&c=&d", '{"a": {"k": true}, "c": "", "d": ""}'),
        ("name=J%C3%BCrgen;x&&n=NaN", '{"name": "J\\u00fcrgen;x", "n": NaN}'),
        ("a=%FF&%C3%28=%ff%41%C3%A9&b=%ED%B2%80", '{"a": "%FF", "%C3(": "%FFA\\u00e9", "b": "%ED%B2%80"}'),
        ("a=+1&b=%0A1&c=tru&d=-&e=%EF%BB%BF1", '{"a": 1, "b": 1, "c": "tru", "d": "-", "e": "\\ufeff1"}'),
        ("deep=" + "[" * 50_000, '{"deep": "' + "[" * 50_000 + '"}'),
    ],
)
def test_query_of_an_undecorated_script(app: App, python: str, query: str, text: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        assert worker.ask(query=query).json == text


@given(st.text("-+0123456789.eE[]{}\":, \t\r\n\f\v\xa0\ufefftruefalsnINfinity'\\", max_size=6))
def test_a_text_is_told_from_json_as_json_tells_it(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = text
    assert repr(json_or_text(text)) == repr(expected)


def test_undecorated_body_is_text(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        assert worker.ask("").json == ""
        assert worker.ask("grüße").json == "grüße"
        request_id = worker.send(b"\xff\xfe")
        answer = worker.receive()
        assert answer is not None
        assert (answer.id, answer.code) == (request_id, 400)
        assert "UTF-8" in answer.json["message"]


def test_request_headers_by_name(app: App, python: str) -> None:
    code = """
        def init():
            pass

        def run(request_headers, data):
            return [type(request_headers).__name__, request_headers, data]
    """
    headers = [["X-Ms-Request-Id", "7"], ["Accept", "a"], ["Accept", "b"]]
    with app.run(python, code) as worker:
        ready = worker.start()
        assert ready["wants_request"] is True
        assert ready["parameters"] == [{"name": "data", "required": True}]
        answer = worker.ask("x", request=request(headers=headers))
        assert answer.json == ["dict", {"X-Ms-Request-Id": "7", "Accept": "a, b"}, "x"]


def request(**changes: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/score", "query": "", "headers": [], **changes}


@pytest.mark.parametrize(
    ("expression", "body"),
    [
        ("None", b"{}"),
        ("json.dumps({'a': 1})", b'"{\\"a\\": 1}"'),
        ("[float('nan'), float('inf'), -float('inf')]", b"[NaN, Infinity, -Infinity]"),
        ("{1: True, None: 2}", b'{"1": true, "null": 2}'),
        ("2 ** 70", b"1180591620717411303424"),
        ("'\\u00fc'", b'"\\u00fc"'),
        ("(1, [None])", b"[1, [null]]"),
    ],
)
def test_values_are_written_as_json_dumps_writes_them(app: App, json_python: str, expression: str, body: bytes) -> None:
    with returning(app, json_python, expression) as worker:
        worker.start()
        answer = worker.ask()
        assert (answer.payload, answer.flags, answer.meta) == (body, RETURNED, b"")


@pytest.fixture(params=["bare", "with orjson"])
def json_python(request: pytest.FixtureRequest) -> str:
    return interpreter_or_skip("3.6") if request.param == "bare" else THIS_PYTHON


def returning(app: App, interpreter: str, expression: str) -> WorkerProcess:
    return app.run(
        interpreter,
        f"""
        import json
        from azureml.contrib.services.aml_response import AMLResponse

        def init():
            pass

        def run(data):
            return {expression}
        """,
    )


@pytest.mark.parametrize(
    ("expression", "code", "body", "headers", "flags"),
    [
        ("AMLResponse('hi', 201)", 201, b"hi", [["Content-Type", "text/html; charset=utf-8"]], RETURNED),
        ("AMLResponse(None, 200)", 200, b"{}", [["Content-Type", "application/json"]], RETURNED),
        ("AMLResponse([1], 200, json_str=True)", 200, b"[1]", [["Content-Type", "application/json"]], RETURNED),
        (
            "AMLResponse(b'\\xff', 200, {'Content-Type': 'image/png', 'Vary': 'a, b'})",
            200,
            b"\xff",
            [["Content-Type", "image/png"], ["Vary", "a"], ["Vary", "b"]],
            RETURNED,
        ),
        ("AMLResponse('x', 503)", 503, b"x", [["Content-Type", "text/html; charset=utf-8"]], RETURNED | RUN_FAILED),
        (
            "AMLResponse('x', 400, run_function_failed=True)",
            400,
            b"x",
            [["Content-Type", "text/html; charset=utf-8"]],
            RETURNED | RUN_FAILED,
        ),
        (
            "AMLResponse('x', 302, {'Location': '/a b%20?c=é&d=[1]#e'})",
            302,
            b"x",
            [["Content-Type", "text/html; charset=utf-8"], ["Location", "/a%20b%20?c=%C3%A9&d=[1]#e"]],
            RETURNED,
        ),
        (
            "AMLResponse('x', 200, {'X-Ms-Run-Function-Failed': 'True'})",
            200,
            b"x",
            [["Content-Type", "text/html; charset=utf-8"], ["X-Ms-Run-Function-Failed", "True"]],
            RETURNED | RUN_FAILED,
        ),
        (
            "AMLResponse((c for c in ('a', b'b')), 200)",
            200,
            b"ab",
            [["Content-Type", "text/html; charset=utf-8"]],
            RETURNED | MORE,
        ),
    ],
)
def test_responses(
    app: App, python: str, expression: str, code: int, body: bytes, headers: list[list[str]], flags: int
) -> None:
    with returning(app, python, expression) as worker:
        assert worker.start()["input"] == "text"
        answer = worker.ask()
        assert (answer.code, answer.payload, answer.headers, answer.flags) == (code, body, headers, flags)


@pytest.mark.parametrize(
    ("replacing", "body"),
    [
        ("lambda value: given(value).encode()", b'{"a": "\\u00e9"}'),
        ("functools.partial(given, ensure_ascii=False)", '{"a": "é"}'.encode()),
    ],
)
def test_a_script_may_replace_json_dumps(app: App, replacing: str, body: bytes) -> None:
    """As those do that want NumPy's numbers written, or take orjson's: the worker's own messages go on as before."""
    script = f"""
        import functools
        import json
        given = json.dumps
        json.dumps = {replacing}

        def init():
            pass

        def run(data):
            return {{"a": data}}
    """
    with app.run(THIS_PYTHON, script) as worker:
        worker.start()
        assert worker.ask("é").payload == body
        assert worker.ask(b"\xff").code == 400


@pytest.mark.parametrize("status", [0, 99, 1000, 70_000])
def test_status_that_http_does_not_have(app: App, python: str, status: int) -> None:
    with returning(app, python, f"AMLResponse('x', {status})") as worker:
        worker.start()
        answer = worker.ask()
        assert answer.flags == RETURNED | UNSERIALIZABLE
        assert f"status of the response is {status}" in answer.text
        assert worker.ask().flags == RETURNED | UNSERIALIZABLE


RAW = """
    from azureml.contrib.services.aml_request import AMLRequest, rawhttp
    from azureml.contrib.services.aml_response import AMLResponse

    def init():
        pass

    @rawhttp
    def run(request):
        if request.method == "GET":
            return dict(request.args)
        if request.files:
            return [request.files["image"].filename, len(request.files["image"].read()), request.form["note"]]
        response = AMLResponse(request.get_data(False), 200)
        response.headers["Access-Control-Allow-Origin"] = request.headers["origin"]
        return response
"""


def test_raw_http(app: App, python: str) -> None:
    with app.run(python, RAW) as worker:
        ready = worker.start()
        assert (ready["input"], ready["wants_request"]) == ("raw", True)
        answer = worker.ask(b"\x00\xff".decode("latin-1"), request=request(headers=[["Origin", "http://here"]]))
        assert answer.payload == "\x00\xff".encode()
        assert ["Access-Control-Allow-Origin", "http://here"] in answer.headers
        assert worker.ask(query="a=1&b=2", request=request(method="GET", query="a=1&b=2")).json == {"a": "1", "b": "2"}
        form = (
            '--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n--xyz\r\n'
            "Content-Disposition: form-data; "
            'name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n12\r\n45\r\n--xyz--\r\n'
        )
        headers = [["Content-Type", "multipart/form-data; boundary=xyz"]]
        assert worker.ask(form, request=request(headers=headers)).json == ["a.png", 6, "hi"]


@pytest.mark.parametrize("installed", [False, True])
def test_raw_http_by_the_name_of_v1s_server(app: App, python: str, installed: bool) -> None:
    """Also where the environment has that server, whose own rawhttp nobody would hear."""
    if installed:
        app.write("azureml_inference_server_http/__init__.py", "__version__ = '1.5.1'")
        app.write("azureml_inference_server_http/api/__init__.py", "")
        app.write("azureml_inference_server_http/api/aml_request.py", "def rawhttp(func): return func")
    script = RAW.replace("azureml.contrib.services", "azureml_inference_server_http.api").replace(
        "def init():", "import azureml_inference_server_http as server\n\n    def init():"
    )
    script = script.replace("return dict(", "return getattr(server, '__version__', None), dict(")
    with app.run(python, script) as worker:
        assert worker.start()["input"] == "raw"
        answer = worker.ask(query="a=1", request=request(method="GET", query="a=1"))
        assert answer.json == ["1.5.1" if installed else None, {"a": "1"}]
        assert worker.ask("x", request=request(headers=[["Origin", "http://here"]])).payload == b"x"


def test_raw_http_with_a_schema_is_refused(app: App) -> None:
    code = DECORATED.replace('@input_schema("data"', '@rawhttp\n    @input_schema("data"').replace(
        "import numpy as np", "import numpy as np\n    from azureml.contrib.services.aml_request import rawhttp"
    )
    with app.run(THIS_PYTHON, code) as worker:
        failure = worker.failure()
        assert (failure["phase"], failure["type"]) == ("import", "ScriptError")
        assert "@rawhttp and @input_schema" in failure["message"]


def test_a_response_is_closed_when_it_was_read(app: App, python: str) -> None:
    code = """
        from azureml.contrib.services.aml_response import AMLResponse

        def init():
            pass

        def fail():
            raise OSError("no such file")

        def run(data):
            response = AMLResponse("whole", 200)
            response.headers.pop("Content-Type")
            response.call_on_close(lambda: print("closed", flush=True))
            response.call_on_close(fail)
            return response
    """
    with app.run(python, code) as worker:
        worker.start()
        answer = worker.ask("")
        assert (answer.code, answer.flags, answer.payload, answer.headers) == (200, RETURNED, b"whole", [])
        worker.wait_for_output("OSError: no such file")
        assert "closed" in worker.output


def test_heads_are_remembered_up_to_a_number_and_none_that_is_long() -> None:
    KNOWN_HEADS.clear()

    def told(value: str) -> str:
        meta = json.dumps({"headers": [["X-Told", value]]}).encode()
        return dict(describe(Frame(1, SCORE, 0, b"", meta + b"\nan id\n"))[1])["X-Told"]

    for number in range(3 * MOST_HEADS):
        assert told(str(number)) == str(number)
        assert len(KNOWN_HEADS) <= MOST_HEADS
    assert len(told("x" * MOST_HEAD_BYTES)) == MOST_HEAD_BYTES
    assert all(len(text) <= MOST_HEAD_BYTES for text in KNOWN_HEADS)


@pytest.mark.parametrize(("status", "has_failed"), [(200, False), (404, False), (499, False), (500, True), (503, True)])
def test_a_status_from_500_on_says_that_run_failed(status: int, has_failed: bool) -> None:
    assert bool(answer_of(AMLResponse("x", status)).flags & RUN_FAILED) is has_failed


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_streamed_response_is_closed_when_its_body_has_ended_or_nobody_wants_more(wanted: int) -> None:
    response = AMLResponse((text for text in ("a", "b")), 200)
    ended: list[str] = []
    response.call_on_close(lambda: ended.append("closed"))
    chunks = answer_of(response).chunks
    assert chunks is not None
    assert next(chunks) == b"a"
    assert ended == []
    assert list(islice(chunks, wanted)) == [b"b"][:wanted]
    close_body(chunks)
    assert ended == ["closed"]

"""Scripts that use Flask: the request is Flask's, and so is what they answer with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driving import App, WorkerProcess
from interpreters import make_environment
from modelport_worker.frames import LAST, MORE, RAISED, RUN_FAILED

ENVIRONMENTS = {
    "flask 1": ("3.6", ["flask==1.1.4", "werkzeug<2", "jinja2<3", "itsdangerous<2", "markupsafe<2.1"]),
    "flask 2": ("3.8", ["flask==2.2.5", "werkzeug<3"]),
    "flask 3": ("3.13", ["flask==3.1.*"]),
}

SCRIPT = """
    import io
    import json
    import os

    import flask
    import werkzeug
    from azureml.contrib.services.aml_request import AMLRequest, rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    from werkzeug.datastructures import FileStorage
    from werkzeug.wrappers import Response

    def init():
        pass

    class Ways:
        def kinds(self, request):
            return {
                "aml": isinstance(request, AMLRequest),
                "flask": isinstance(request, flask.Request),
                "werkzeug": isinstance(request, werkzeug.wrappers.Request),
                "current": flask.request.url,
            }

        def body(self, request):
            return [request.get_data(False).decode("latin-1"), request.data.decode("latin-1"), request.content_length]

        def parsed(self, request):
            return {
                "method": request.method, "path": request.path, "full_path": request.full_path, "url": request.url,
                "args": request.args.to_dict(flat=False), "json": request.get_json(silent=True),
                "header": request.headers["x-one"], "cookies": dict(request.cookies),
            }

        def route(self, request):
            told = [request.endpoint, str(request.url_rule), request.view_args, request.blueprint]
            return told + [request.routing_exception, flask.url_for(request.endpoint), request.scheme]

        def form(self, request):
            upload = request.files["image"]
            assert isinstance(upload, FileStorage)
            return {"form": request.form.to_dict(), "name": upload.filename, "size": len(upload.read())}

        def aml(self, request):
            response = AMLResponse({"a": 1}, "201", {"X-Two": "1, 2", "content-type": "text/x"}, json_str=True)
            assert isinstance(response, AMLResponse) and isinstance(response, flask.Response)
            response.set_cookie("a", "b")
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response

        def none(self, request):
            return AMLResponse(None, 200)

        def failed(self, request):
            return AMLResponse("x", 200, run_function_failed=True)

        def streamed_aml(self, request):
            return AMLResponse((part for part in ("a", b"b")), 200)

        def flask_response(self, request):
            return flask.Response("text", status=202, mimetype="text/plain", headers=[("X-A", "1"), ("X-A", "2")])

        def werkzeug_response(self, request):
            return Response(b"\\x00\\xff", content_type="image/png")

        def jsonify(self, request):
            return flask.jsonify(a=[1])

        def make_response(self, request):
            return flask.make_response("made", 203)

        def send_file(self, request):
            return flask.send_file(io.BytesIO(b"file" * 50000), mimetype="image/png")

        def send_part(self, request):
            return flask.send_file(io.BytesIO(b"0123456789"), mimetype="image/png", conditional=True)

        def send_own_file(self, request):
            with open("own.txt", "w") as file:
                file.write("own")
            response = flask.send_file(os.path.abspath("own.txt"))
            response.call_on_close(lambda: print("file: closed", flush=True))
            return response

        def send_large_file(self, request):
            return flask.send_file(io.BytesIO(bytes(16 * 1024 * 1024 + 1)), mimetype="image/png")

        def send_lost_file(self, request):
            class Lost(io.BytesIO):
                def read(self, *args):
                    raise OSError("the disk is gone")
            return flask.send_file(Lost(b"there"), mimetype="image/png")

        def streamed(self, request):
            def parts():
                try:
                    yield "one "
                    yield b"two"
                finally:
                    print("parts: closed", flush=True)
            response = flask.Response(parts())
            response.call_on_close(lambda: print("response: closed", flush=True))
            return response

        def after(self, request):
            @flask.after_this_request
            def mark(response):
                response.headers["X-After"] = request.args["way"]
                return response
            response = flask.make_response("whole")
            response.call_on_close(lambda: print("whole: closed", flush=True))
            return response

        def broken(self, request):
            def parts():
                yield "one"
                raise ValueError("half way")
            return flask.Response(parts())

        def wrong(self, request):
            return flask.Response(part for part in (1, 2))

        def aborts(self, request):
            return request.files["absent"]

    @rawhttp
    def run(request):
        return getattr(Ways(), request.args["way"])(request)
"""


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def flask_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    version, requirements = ENVIRONMENTS[request.param]
    return make_environment(tmp_path_factory.mktemp("flask") / "env", version=version, requirements=requirements)


def describe(way: str, *, method: str = "POST", more: str = "", headers: Any = ()) -> dict[str, Any]:
    return {
        "method": method,
        "path": "/score",
        "query": f"way={way}{more}",
        "headers": [["Host", "here:5001"], ["X-One", "1"], *headers],
    }


def test_flask_scripts(app: App, flask_python: str) -> None:
    """One worker for all: its start takes longer than they do."""
    with app.run(flask_python, SCRIPT) as worker:
        worker.start()
        check_requests(worker)
        check_responses(worker)
        check_files(worker)
        check_streams(worker)
        assert worker.stop() == 0


def check_requests(worker: WorkerProcess) -> None:
    kinds = worker.ask(b"", request=describe("kinds")).json
    assert kinds == {"aml": True, "flask": True, "werkzeug": True, "current": "http://here:5001/score?way=kinds"}
    assert worker.ask(b"\x00\xff", request=describe("body")).json == ["\x00\xff", "\x00\xff", 2]
    headers = [["Content-Type", "application/json"], ["Cookie", "c=d"]]
    assert worker.ask(b"[1]", request=describe("parsed", more="&a=1&a=%20", headers=headers)).json == {
        "method": "POST",
        "path": "/score",
        "full_path": "/score?way=parsed&a=1&a=%20",
        "url": "http://here:5001/score?way=parsed&a=1&a=%20",
        "args": {"way": ["parsed"], "a": ["1", " "]},
        "json": [1],
        "header": "1",
        "cookies": {"c": "d"},
    }
    for path, headers in (("/score", []), ("/below/a/prefix/score", [["X-Forwarded-Proto", "https"]])):
        route = worker.ask(b"", request={**describe("route", headers=headers), "path": path}).json
        assert route == ["main.handle_score", "/score", {}, "main", None, "/score", "http"]
    passing = [["Content_Type", "text/html"], ["X_One", "2"], ["Cookie", "c=d"], ["COOKIE_", "e=f"]]
    told = worker.ask(b"[1]", request=describe("parsed", headers=passing)).json
    assert (told["header"], told["cookies"]) == ("1", {"c": "d"})
    assert worker.ask(b"", request=describe("body", headers=[["Content-Length", "0"]])).json == ["", "", 0]
    assert worker.ask(b"", request=describe("body")).json == ["", "", None]
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="i.png"\r\n\r\n%b\r\n' % (b"x" * 700_000)
    field = b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--B--\r\n'
    multipart = describe("form", headers=[["Content-Type", "multipart/form-data; boundary=B"]])
    expected = {"form": {"note": "hello"}, "name": "i.png", "size": 700_000}
    assert worker.ask(part + field, request=multipart).json == expected
    absent = worker.ask(b"", request=describe("aborts"))
    assert absent.flags & RAISED
    assert "400 Bad Request" in absent.text


def check_responses(worker: WorkerProcess) -> None:
    aml = worker.ask(b"", request=describe("aml"))
    assert (aml.code, aml.json) == (201, {"a": 1})
    assert [value for name, value in aml.headers if name == "X-Two"] == ["1", "2"]
    assert ["Access-Control-Allow-Origin", "*"] in aml.headers
    assert ["Set-Cookie", "a=b; Path=/"] in aml.headers
    assert [value for name, value in aml.headers if name.lower() == "content-type"] == ["application/json"]
    none = worker.ask(b"", request=describe("none"))
    assert (none.payload, ["Content-Type", "application/json"] in none.headers) == (b"{}", True)
    assert worker.ask(b"", request=describe("failed")).flags & RUN_FAILED
    plain = worker.ask(b"", request=describe("flask_response"))
    assert (plain.code, plain.payload, plain.headers[:2]) == (202, b"text", [["X-A", "1"], ["X-A", "2"]])
    image = worker.ask(b"", request=describe("werkzeug_response"))
    assert (image.payload, ["Content-Type", "image/png"] in image.headers) == (b"\x00\xff", True)
    assert json.loads(worker.ask(b"", request=describe("jsonify")).payload) == {"a": [1]}
    after = worker.ask(b"", request=describe("after"))
    assert (after.payload, ["X-After", "after"] in after.headers) == (b"whole", True)
    worker.wait_for_output("whole: closed")
    made = worker.ask(b"", request=describe("make_response"))
    assert (made.code, made.payload) == (203, b"made")


def check_files(worker: WorkerProcess) -> None:
    """Small ones are there as a whole, so that the server can tell their length."""
    small = worker.ask(b"", request=describe("send_file"))
    assert (small.flags & MORE, small.payload) == (0, b"file" * 50000)
    part = worker.ask(b"", request=describe("send_part", method="GET", headers=[["Range", "bytes=2-4"]]))
    assert (part.code, part.flags & MORE, part.payload) == (206, 0, b"234")
    own = worker.ask(b"", request=describe("send_own_file"))
    assert (own.flags & MORE, own.payload) == (0, b"own")
    worker.wait_for_output("file: closed")
    large = worker.ask(b"", request=describe("send_large_file"))
    assert (large.flags & MORE, len(large.payload)) == (MORE, 16 * 1024 * 1024 + 1)
    lost = worker.ask(b"", request=describe("send_lost_file"))
    assert lost.flags & RAISED
    assert "the disk is gone" in lost.text


def check_streams(worker: WorkerProcess) -> None:
    assert worker.ask(b"", request=describe("streamed_aml")).payload == b"ab"
    streamed = worker.ask(b"", request=describe("streamed"))
    assert (streamed.flags & MORE, streamed.payload) == (MORE, b"one two")
    worker.wait_for_output("response: closed")
    assert "parts: closed" in worker.output
    wrong = worker.ask(b"", request=describe("wrong"))
    assert wrong.flags & RAISED
    assert "int, not str or bytes" in wrong.text
    worker.send(b"", request=describe("broken"))
    frames = [worker.receive() for _ in range(3)]
    assert [frame.payload for frame in frames if frame is not None] == [b"", b"one", b""]
    last = frames[-1]
    assert last is not None
    assert last.flags & ~LAST, "the client must not take it for whole"


def test_flask_is_not_imported_for_scripts_that_do_not_use_it(app: App, flask_python: str) -> None:
    script = """
        import sys
        from azureml.contrib.services.aml_request import AMLRequest, rawhttp
        from azureml.contrib.services.aml_response import AMLResponse

        def init():
            import importlib.util
            assert importlib.util.find_spec("flask") is not None

        @rawhttp
        def run(request):
            response = AMLResponse(request.method, 200)
            response.set_cookie("a", "b", secure=True)
            response.headers["X-Modules"] = str("flask" in sys.modules or "werkzeug" in sys.modules)
            return response
    """
    with app.run(flask_python, script) as worker:
        worker.start()
        answer = worker.ask(b"", request=describe("any"))
        assert answer.payload == b"POST"
        assert ["X-Modules", "False"] in answer.headers
        assert ["Set-Cookie", "a=b; Secure; Path=/"] in answer.headers


PLAIN = """
    from flask import Response, jsonify, request

    def init():
        pass

    def run(data):
        if data == "response":
            return Response(data)
        return jsonify(data=data, name=request.args.get("name"), one=request.headers["X-One"], at=request.remote_addr)
"""


def test_a_script_without_rawhttp_may_use_flask(app: App, flask_python: str) -> None:
    with app.run(flask_python, PLAIN) as worker:
        ready = worker.start()
        assert (ready["input"], ready["wants_request"]) == ("text", True)
        asked = describe("any", more="&name=n")
        assert json.loads(worker.ask("x", request=asked).payload) == {"data": "x", "name": "n", "one": "1", "at": None}
        assert worker.ask("response", request=asked).payload == b"response"
        got = json.loads(worker.ask(query="name=m", request={**asked, "method": "GET", "query": "name=m"}).payload)
        assert (got["data"], got["name"]) == ('{"name": "m"}', "m")
    with app.run(flask_python, PLAIN.replace(", jsonify, request", "").replace("jsonify(", "dict(")) as worker:
        assert worker.start()["wants_request"] is False
        assert worker.ask("response").payload == b"response"

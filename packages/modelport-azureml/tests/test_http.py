"""AMLRequest and AMLResponse."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

from azureml import _modelport
from azureml.contrib.services._mappings import Fields
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def test_rawhttp_returns_the_function_and_sets_the_flag() -> None:
    def run(request: AMLRequest) -> str:
        return request.method

    assert rawhttp(run) is run
    assert _modelport.raw_http_requested()
    made = _modelport.make_request("PATCH", "/score", query="", headers=[], body=b"")
    assert isinstance(made, AMLRequest)
    assert made.method == "PATCH"


def test_request_line_and_headers() -> None:
    request = AMLRequest(
        "POST", "/score", query="a=1&a=2&b=%C3%BC+x", headers=[("Host", "h:5001"), ("X-One", "1"), ("X-One", "2")]
    )
    assert request.full_path == "/score?a=1&a=2&b=%C3%BC+x"
    assert request.url == "http://h:5001/score?a=1&a=2&b=%C3%BC+x"
    assert (request.args["a"], request.args.getlist("a"), request.args["b"]) == ("1", ["1", "2"], "ü x")
    assert request.args.get("a", type=int) == 1
    assert request.args.get("b", 7, type=int) == 7
    assert request.args.to_dict(flat=False)["a"] == ["1", "2"]
    assert request.headers["x-one"] == "1"
    assert request.headers.getlist("X-ONE") == ["1", "2"]
    assert request.headers.get("absent") is None
    assert [f"{name}={value}" for name, value in request.headers] == ["Host=h:5001", "X-One=1", "X-One=2"]
    assert dict(request.headers) == {"Host": "h:5001", "X-One": "1"} == {**request.headers}
    assert AMLRequest("GET", "/score").full_path == "/score?"


def test_json() -> None:
    headers = [("Content-Type", "application/json; charset=utf-8")]
    assert AMLRequest("POST", "/", headers=headers, body=b'{"a": 1}').json == {"a": 1}
    assert AMLRequest("POST", "/", body=b'{"a": 1}').json is None
    assert AMLRequest("POST", "/", body=b"[1]").get_json(force=True) == [1]
    broken = AMLRequest("POST", "/", headers=headers, body=b"{")
    assert broken.get_json(silent=True) is None
    with pytest.raises(ValueError, match="Expecting"):
        broken.get_json()


def test_body() -> None:
    request = AMLRequest("POST", "/", body="grüße".encode())
    assert request.data == request.get_data() == request.get_data(False) == "grüße".encode()
    assert request.get_data(as_text=True) == "grüße"
    assert request.content_length == 7


def test_urlencoded_form() -> None:
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    request = AMLRequest("POST", "/", headers=headers, body=b"a=1+2&b=%26")
    assert dict(request.form) == {"a": "1 2", "b": "&"}
    assert request.data == b""
    assert request.get_data() == b"a=1+2&b=%26"
    assert not request.files


MULTIPART = [("Content-Type", 'multipart/form-data; boundary="-=x y"')]


def test_multipart_form(tmp_path: Path) -> None:
    content = bytes(range(256)) + b"\r\n--\r\n"
    body = (
        b'preamble\r\n---=x y\r\nContent-Disposition: form-data; name="note"\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n'
        b'---=x y\r\nContent-Disposition: form-data; name="image"; filename="a b.png"\r\n'
        b"Content-Type: image/png\r\n\r\n"
        + content
        + b"\r\n---=x y\r\nContent-Disposition: form-data; name=image; filename*=UTF-8''%C3%BC.png\r\n\r\n"
        + b"\r\n---=x y--\r\nepilogue"
    )
    request = AMLRequest("POST", "/", headers=MULTIPART, body=body)
    assert dict(request.form) == {"note": "grüße"}
    image = request.files["image"]
    assert (image.filename, image.name, image.content_type) == ("a b.png", "image", "image/png")
    assert image.read(4) == b"\0\1\2\3"
    image.seek(0)
    assert image.read() == content
    image.save(str(tmp_path / "saved"))
    assert (tmp_path / "saved").read_bytes() == content
    other = AMLRequest("POST", "/", headers=MULTIPART, body=body).files.getlist("image")[1]
    assert (other.filename, other.read()) == ("ü.png", b"")


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("multipart/form-data", b"--x--", "no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhalf", "cut off"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nnameless\r\n--x--", "no name"),
    ],
)
def test_damaged_multipart_form(content_type: str, body: bytes, message: str) -> None:
    request = AMLRequest("POST", "/", headers=[("Content-Type", content_type)], body=body)
    with pytest.raises(ValueError, match=message):
        _ = request.form


def test_names_of_the_address_and_the_content() -> None:
    headers = [
        ("Host", "here:81"),
        ("Content-Type", 'Text/Plain; Charset="UTF-8"'),
        ("Referer", "http://r/"),
        ("Origin", "null"),
    ]
    request = AMLRequest("GET", "/score", query="a=1", headers=[*headers, ("Content-Encoding", "gzip")])
    assert (request.scheme, request.is_secure, request.remote_addr) == ("http", False, None)
    assert request.host_url == request.root_url == request.url_root == "http://here:81/"
    assert (request.base_url, request.url) == ("http://here:81/score", "http://here:81/score?a=1")
    assert (request.mimetype, request.mimetype_params) == ("text/plain", {"charset": "UTF-8"})
    assert (request.content_encoding, request.referrer, request.origin) == ("gzip", "http://r/", "null")


def test_what_only_werkzeug_knows_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = [("Accept", "text/html;q=0.5, application/json"), ("Authorization", "Basic YTpi"), ("User-Agent", "UA/1")]
    request = AMLRequest("POST", "/score", query="a=1", headers=headers, body=b"x")
    monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    assert not hasattr(request, "user_agent")
    with pytest.raises(
        AttributeError, match=r"AMLRequest has no 'accept_mimetypes' of its own\. If Flask's request has it"
    ):
        _ = request.accept_mimetypes
    monkeypatch.undo()
    pytest.importorskip("werkzeug")
    assert request.accept_mimetypes.best == "application/json"
    assert (request.authorization.username, str(request.user_agent)) == ("a", "UA/1")
    assert request.environ["QUERY_STRING"] == "a=1"
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = request.no_such_name
    assert copy.copy(request).data == b"x"


def test_one_irregular_cookie_costs_no_other() -> None:
    sent = 'a=1; b="q q"; c=%20; a=2; d; =e; f=x=y; {"g"}=1; h="x\\054\\"y"; i="'
    cookies = AMLRequest("GET", "/", headers=[("Cookie", sent)]).cookies
    expected = {"a": "1", "b": "q q", "c": "%20", "d": "", "f": "x=y", '{"g"}': "1", "h": 'x,"y', "i": '"'}
    assert cookies.to_dict() == expected
    assert cookies.getlist("a") == ["1", "2"]
    assert AMLRequest("GET", "/").cookies == {}


def test_json_keeps_its_content_type() -> None:
    for response in (AMLResponse(None, 200, {"content-type": "A"}), AMLResponse([1], 200, {"Content-Type": "A"}, True)):
        assert response.headers.items() == [("Content-Type", "application/json")]
        response.headers["Content-Type"] = "application/problem+json"
        assert response.content_type == "application/problem+json"


def test_response_of_each_kind() -> None:
    assert AMLResponse(None, 200).get_data() == b"{}"
    assert AMLResponse({"a": [1]}, 200, json_str=True).get_data() == b'{"a": [1]}'
    assert AMLResponse(None, 200).content_type == "application/json"
    plain = AMLResponse("grüße", "201")  # type: ignore[arg-type]  # scripts do that
    assert (plain.get_data(), plain.status_code) == ("grüße".encode(), 201)
    assert plain.headers["content-type"] == "text/html; charset=utf-8"
    assert AMLResponse(bytearray(b"x"), 200).data == b"x"


def test_generator_is_joined_once() -> None:
    response = AMLResponse((part for part in ("a", b"b")), 200)
    assert response.get_data() == b"ab"
    assert response.get_data() == b"ab"


@pytest.mark.parametrize("message", [{"a": 1}, 7, 1.5])
def test_value_without_json_str(message: object) -> None:
    with pytest.raises(TypeError, match="json_str=True"):
        AMLResponse(message, 200)


def test_list_of_numbers_without_json_str() -> None:
    with pytest.raises(TypeError, match="json_str=True"):
        AMLResponse([1, 2], 200).get_data()


def test_response_headers() -> None:
    response = AMLResponse("x", 200, {"Vary": "a, b", "content-type": "text/plain"})
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["vary"] = "c"
    response.headers.add("Set-Cookie", "a=1")
    response.headers.add("Set-Cookie", "b=2")
    assert response.headers.items() == [
        ("content-type", "text/plain"),
        ("Access-Control-Allow-Origin", "*"),
        ("vary", "c"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    response.headers.update({"Vary": "d"}, other="e")
    assert (response.headers["vary"], response.headers.popitem()) == ("d", ("other", "e"))
    del response.headers["VARY"]
    assert "Vary" not in response.headers
    with pytest.raises(KeyError):
        del response.headers["Vary"]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0"])
def test_header_injection_is_refused(value: str) -> None:
    response = AMLResponse("x", 200, {"Safe": "kept"})
    with pytest.raises(ValueError, match="line break"):
        response.headers["Safe"] = value
    assert response.headers["Safe"] == "kept"
    with pytest.raises(ValueError, match="line break"):
        AMLResponse("x", 200, {"X": value})


def test_what_a_script_changes_in_a_request_stays_changed() -> None:
    request = AMLRequest("POST", "/score", query="a=1", headers=[("X-A", "1")])
    request.headers.add("X-B", "2")
    request.args["c"] = "3"
    assert dict(request.headers.items()) == {"X-A": "1", "X-B": "2"}
    assert request.args == {"a": "1", "c": "3"}
    request.args = Fields([("d", "4")])
    assert (request.args, request.query_string) == ({"d": "4"}, b"a=1")

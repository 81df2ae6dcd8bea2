"""AMLRequest: the names of Flask's request, on the standard library alone."""

from __future__ import annotations

import copy
import json
import re
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml import _modelport
from azureml.contrib.services._accept import MIMEAccept
from azureml.contrib.services._header_values import members
from azureml.contrib.services._mappings import Fields
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def test_rawhttp_returns_the_function_and_sets_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of this process: the scripts of other tests have not asked for that.
    monkeypatch.setattr(_modelport, "_state", {**_modelport._state})
    monkeypatch.setattr(_modelport, "_request_factory", [])

    def run(request: AMLRequest) -> str:
        return request.method

    assert rawhttp(run) is run
    assert _modelport.raw_http_requested()
    made = _modelport.request_factory()("PATCH", "/score", query="", headers=[], body=b"")
    assert isinstance(made, AMLRequest)
    assert made.method == "PATCH"


def test_request_line_and_headers() -> None:
    request = AMLRequest(
        "POST", "/score", query="a=1&a=2&b=%C3%BC+x", headers=[("Host", "h:5001"), ("X-One", "1"), ("X-One", "2")]
    )
    assert request.full_path == "/score?a=1&a=2&b=%C3%BC+x"
    assert request.url == "http://h:5001/score?a=1&a=2&b=ü+x"
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
    kept = AMLRequest("POST", "/", headers=headers, body=b"{}")
    kept.json["a"] = 1
    assert (kept.json, kept.get_json(cache=False)) == ({"a": 1}, {})
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


def test_looking_for_files_does_not_read_an_urlencoded_body() -> None:
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    request = AMLRequest("POST", "/", headers=headers, body=b"%41&" * 250_000)
    tracemalloc.start()
    assert not request.files
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000
    assert len(request.form.getlist("A")) == 250_000


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
        ("multipart/form-data; boundary=x", b"--x\r\nno end: of the headers", "no closing boundary|no end of its"),
    ],
)
def test_a_damaged_form_is_empty_and_the_log_says_why(
    content_type: str, body: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = AMLRequest("POST", "/", query="q=1", headers=[("Content-Type", content_type)], body=body)
    assert (request.form, request.files, request.values) == ({}, {}, {"q": "1"})
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert re.search(message, record.getMessage())


def test_a_form_of_too_many_parts_is_not_taken_for_an_empty_one() -> None:
    part = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"
    headers = [("Content-Type", "multipart/form-data; boundary=x")]
    request = AMLRequest("POST", "/", headers=headers, body=part * 1001 + b"--x--")
    with pytest.raises(ValueError, match="more than 1000 parts"):
        _ = request.form


def test_where_a_request_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    forwarded = [("X-Forwarded-For", "192.0.2.7, 192.0.2.8")]
    direct, behind = AMLRequest("GET", "/", address="::1"), AMLRequest("GET", "/", headers=forwarded, address="::1")
    unknown = AMLRequest("GET", "/")
    assert [request.remote_addr for request in (direct, behind, unknown)] == ["::1", "::1", None]
    assert direct.access_route == [direct.environ["REMOTE_ADDR"]] == ["::1"]
    assert (behind.access_route, unknown.access_route) == (["192.0.2.7", "192.0.2.8"], [])
    assert "REMOTE_ADDR" not in unknown.environ


def test_a_body_is_read_from_one_stream() -> None:
    request = AMLRequest("POST", "/", body=b"one two")
    pieces = [request.stream.read(4), request.stream.read(4), request.stream.read(4)]
    assert pieces == [b"one ", b"two", b""]
    assert request.get_data() == b"one two"


@pytest.mark.parametrize(
    ("headers", "body", "length"), [([], b"", None), ([("content-length", "0")], b"", 0), ([], b"chunks", 6)]
)
def test_content_length(headers: list[tuple[str, str]], body: bytes, length: int | None) -> None:
    assert AMLRequest("GET", "/", headers=headers, body=body).content_length == length


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("a=%C3%A9%e2%82%ac", "a=é€"),
        ("a=%26%3D%25%20%41", "a=%26%3D%25%20%41"),
        ("a=%FF%C3", "a=%FF%C3"),
        ("a=%C2%A0%E2%80%A8", "a=%C2%A0%E2%80%A8"),
    ],
)
def test_the_query_in_a_url_is_readable(query: str, shown: str) -> None:
    request = AMLRequest("GET", "/score", query=query)
    assert request.url == "http://localhost/score?" + shown
    assert request.full_path == "/score?" + query


def test_fields_of_several_values() -> None:
    args = AMLRequest("GET", "/", query="a=1&b=x&a=2&a=").args
    assert (args.getlist("a", type=int), args.getlist("b", int), args.getlist("c")) == ([1, 2], [], [])
    assert args.get("b", 7, type=int) == args.get("c", 7) == 7
    assert list(args.items()) == [("a", "1"), ("b", "x")]
    assert args.items(multi=True) == [("a", "1"), ("a", "2"), ("a", ""), ("b", "x")]
    assert args.lists() == [("a", ["1", "2", ""]), ("b", ["x"])]
    assert args.listvalues() == [["1", "2", ""], ["x"]]
    assert json.loads(json.dumps(args)) == {"a": "1", "b": "x"}
    for twin in (args.copy(), args.deepcopy(), copy.copy(args), copy.deepcopy(args)):
        twin["a"] = "3"
        del twin["b"]
        assert (twin.getlist("a"), twin.getlist("b"), twin.to_dict(flat=False)) == (["3"], [], {"a": ["3"]})
    assert args.getlist("b") == ["x"]


def test_headers_are_asked_as_flasks_are() -> None:
    headers = AMLRequest("GET", "/", headers=[("X-N", "7"), ("X-T", "t"), ("X-N", "8")]).headers
    assert (headers.get("x-n", type=int), headers.get("x-t", 1, type=int), headers.get("x", type=int)) == (7, 1, None)
    assert (headers.get_all("X-N"), headers.getlist("X-N", type=int)) == (["7", "8"], [7, 8])
    assert headers.has_key("x-t")
    assert headers.get(None) is None
    assert headers.items(lower=True) == [("x-n", "7"), ("x-t", "t"), ("x-n", "8")]
    assert headers.to_wsgi_list() == [("X-N", "7"), ("X-T", "t"), ("X-N", "8")]
    assert str(headers) == "X-N: 7\r\nX-T: t\r\nX-N: 8\r\n\r\n"


def test_headers_are_changed_as_flasks_are() -> None:
    headers = AMLResponse("x", 200).headers
    headers.set("Content-Disposition", "attachment", filename='a "b".csv', size=3, inline=None)
    assert headers["content-disposition"] == 'attachment; filename="a \\"b\\".csv"; size=3; inline'
    headers.setlist("X-A", ["1", "2"])
    headers.extend({"X-B": ["3", "4"]}, X_c="5")
    headers.extend(Fields([("X-D", "6"), ("X-D", "7")]))
    headers.add_header("X-A", 8)
    assert [headers.getlist(name) for name in ("x-a", "x-b", "x-c", "x_c", "x-d")] == [
        ["1", "2", "8"],
        ["3", "4"],
        [],
        ["5"],
        ["6", "7"],
    ]
    headers.remove("X-A")
    headers.remove("X-A")
    assert "X-A" not in headers
    twin = headers.copy()
    twin["X-B"] = 9
    assert headers.getlist("X-B") == ["3", "4"]
    with pytest.raises(ValueError, match="line break"):
        headers.set("X-D", "1", more="a\nb")
    assert headers.getlist("X-D") == ["6", "7"]


def test_files_tell_of_their_parts() -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="%b"\r\n%b\r\nx\r\n'
    body = part % (b"a.txt", b"Content-Type: text/plain; charset=latin-1\r\nX-More: 1\r\n") + part % (b"", b"")
    headers = [("Content-Type", "multipart/form-data; boundary=x")]
    first, second = AMLRequest("POST", "/", headers=headers, body=body + b"--x--").files.getlist("f")
    assert (first.content_type, first.mimetype, first.mimetype_params) == (
        "text/plain; charset=latin-1",
        "text/plain",
        {"charset": "latin-1"},
    )
    assert first.headers["x-more"] == "1"
    assert (second.content_type, second.mimetype, second.mimetype_params) == (None, "", {})
    assert (bool(first), bool(second)) == (True, False)


def test_names_of_the_address_and_the_content() -> None:
    headers = [
        ("Host", "here:81"),
        ("Content-Type", 'Text/Plain; Charset="UTF-8"'),
        ("Referer", "http://r/"),
        ("Origin", "null"),
    ]
    request = AMLRequest("GET", "/score", query="a=1", headers=[*headers, ("Content-Encoding", "gzip")])
    assert (request.scheme, request.is_secure) == ("http", False)
    assert request.host_url == request.root_url == request.url_root == "http://here:81/"
    assert (request.base_url, request.url) == ("http://here:81/score", "http://here:81/score?a=1")
    assert (request.mimetype, request.mimetype_params) == ("text/plain", {"charset": "UTF-8"})
    assert (request.content_encoding, request.referrer, request.origin) == ("gzip", "http://r/", "null")


DETAILS = [
    ("Accept", "text/html;q=0.5, application/json"),
    ("Accept-Language", "de, en;q=0.7"),
    ("Authorization", "Basic YTpiOmM="),
    ("User-Agent", "UA/1"),
    ("Date", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("Access-Control-Request-Headers", "x-a, x-b"),
]


@pytest.fixture(params=["with werkzeug", "without"])
def detailed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AMLRequest:
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    else:
        pytest.importorskip("werkzeug")
    return AMLRequest("POST", "/score", query="a=1", headers=DETAILS, body=b"x")


def test_what_flasks_request_makes_of_single_headers(detailed: AMLRequest) -> None:
    accepted = detailed.accept_mimetypes
    assert (accepted.best, accepted.accept_json, "image/png" in accepted) == ("application/json", True, False)
    assert accepted["text/html"] == accepted.quality("text/html") == 0.5
    assert accepted.best_match(["text/html", "application/json"]) == "application/json"
    assert accepted.best_match(["image/png"], "none") == "none"
    assert detailed.accept_languages.best_match(["en", "de"]) == "de"
    assert (len(detailed.accept_charsets), list(detailed.accept_languages.values())) == (0, ["de", "en"])
    assert (detailed.authorization.type, detailed.authorization.username) == ("basic", "a")
    assert detailed.authorization.password == "b:c"
    assert str(detailed.user_agent) == detailed.user_agent.string == "UA/1"
    assert detailed.date.isoformat() == "2015-10-21T07:28:00+00:00"
    assert (detailed.if_modified_since, detailed.max_forwards, detailed.content_md5) == (None, None, None)
    assert "x-b" in detailed.access_control_request_headers
    assert detailed.access_control_request_method is None
    assert (detailed.environ["QUERY_STRING"], detailed.environ["HTTP_USER_AGENT"]) == ("a=1", "UA/1")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = detailed.no_such_name
    assert copy.copy(detailed).data == b"x"


def test_details_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    broken = [("Authorization", "Basic x"), ("Date", "yesterday"), ("Accept", "a/*;q=x, */*;q=1.1.1, b/c;q=0")]
    too_late = ("If-Modified-Since", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
    request = AMLRequest("GET", "/", headers=[*broken, too_late])
    assert (request.authorization, request.date, request.if_modified_since) == (None, None, None)
    accepted = request.accept_mimetypes
    assert (accepted.to_header(), accepted["a/z"], accepted["d/e"]) == ("b/c;q=0.0", 0, 0)
    assert (AMLRequest("GET", "/").authorization, bool(AMLRequest("GET", "/").user_agent)) == (None, False)
    assert AMLRequest("GET", "/", headers=[("Authorization", "Bearer t")]).authorization.token == "t"
    with pytest.raises(AttributeError, match=r"no 'if_match' of its own\. If Flask's request has it, add flask"):
        _ = request.if_match


ACCEPTING: list[tuple[str, str, list[str], str | None]] = [
    ("accept_languages", "da, en-gb;q=0.8, en;q=0.7", ["de", "en-US", "en-GB"], "en-GB"),
    ("accept_languages", "en-US", ["de", "en"], "en"),
    ("accept_languages", "en", ["de", "en-US"], "en-US"),
    ("accept_languages", "en;q=0", ["en"], None),
    ("accept_languages", "fr;q=0.9, *;q=0.5", ["de", "fr"], "fr"),
    ("accept_languages", "zh-Hant-TW, zh;q=0.5", ["fr", "zh-TW", "zh"], "zh"),
    ("accept_mimetypes", "text/*;q=0.3, text/html;level=1, */*;q=0.5", ["image/png", "text/plain"], "image/png"),
    ("accept_mimetypes", "text/html;level=1, */*;q=0.5", ["text/html", "text/html;level=1"], "text/html;level=1"),
    ("accept_mimetypes", "text/html;q=1.5, a/b;q=x", ["text/html", "a/b"], None),
    ("accept_mimetypes", "text", ["text/html"], None),
    ("accept_mimetypes", "*/*, a/b", ["text/html", "a/b"], "a/b"),
    ("accept_charsets", "iso-8859-1, utf-8;q=0.7", ["utf-8", "latin-1"], "latin-1"),
    ("accept_charsets", "nonsense", ["NONSENSE"], "NONSENSE"),
    ("accept_encodings", "gzip;q=0, *", ["gzip", "br"], "br"),
    ("accept_encodings", "", ["gzip"], None),
]


@pytest.fixture(params=["with werkzeug", "without"])
def of_header(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], AMLRequest]:
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    else:
        pytest.importorskip("werkzeug")
    return lambda name, value: AMLRequest("POST", "/score", headers=[(name, value)])


@pytest.mark.parametrize(("name", "header", "offered", "best"), ACCEPTING)
def test_what_a_client_wants_most(
    of_header: Callable[[str, str], AMLRequest], name: str, header: str, offered: list[str], best: str | None
) -> None:
    header_name = {"accept_mimetypes": "Accept"}.get(name, name[:-1].title().replace("_", "-"))
    assert getattr(of_header(header_name, header), name).best_match(offered) == best


def test_what_is_asked_of_what_a_client_accepts(of_header: Callable[[str, str], AMLRequest]) -> None:
    accepted = of_header("Accept", "*/*;q=0.5, text/*;q=0.3, text/html;q=0, a/b; c=d").accept_mimetypes
    assert accepted.to_header() == str(accepted) == "a/b; c=d,text/html;q=0.0,text/*;q=0.3,*/*;q=0.5"
    assert (accepted.best, accepted[0], accepted[1:2]) == ("a/b; c=d", ("a/b; c=d", 1), [("text/html", 0.0)])
    assert (accepted.find("text/plain"), accepted.index("x/y"), accepted.find("nothing")) == (2, 3, -1)
    assert (accepted["text/html"], "text/html" in accepted, accepted.accept_html) == (0, True, True)
    assert (accepted.provided, accepted.index(("text/html", 0.0))) == (True, 1)
    for wrong in ("nothing", "*/c"):
        with pytest.raises(ValueError, match="mimetype"):
            accepted.best_match([wrong])
    languages = of_header("Accept-Language", "en-US").accept_languages
    assert ("en" in languages, "en_us" in languages, languages.find("en")) == (False, True, -1)
    with pytest.raises(ValueError, match="de"):
        languages.index("de")
    assert of_header("Accept", "").accept_mimetypes.provided is False


@pytest.mark.parametrize(
    ("header", "kind", "parameters", "token", "shown"),
    [
        ("basic dTpw", "basic", {"username": "u", "password": "p"}, None, "Basic dTpw"),
        ("Basic dQ==", "basic", {"username": "u", "password": ""}, None, "Basic dTo="),
        ("Bearer a.b==", "bearer", {}, "a.b==", "Bearer a.b=="),
        ('Digest username="a b", stale', "digest", {"username": "a b", "stale": None}, None, None),
        ("Token token=abc", "token", {"token": "abc"}, None, "Token token=abc"),
    ],
)
def test_credentials_of_every_kind(
    of_header: Callable[[str, str], AMLRequest],
    header: str,
    kind: str,
    parameters: dict[str, str],
    token: str | None,
    shown: str | None,
) -> None:
    told = of_header("Authorization", header).authorization
    assert (told.type, told.parameters, told.token) == (kind, parameters, token)
    assert (told.username, told.get("username"), told["nothing"]) == (*[parameters.get("username")] * 2, None)
    assert str(told) == told.to_header() == (shown or 'Digest username="a b", stale')
    assert "username" in told if "username" in parameters else "username" not in told


def test_credentials_are_not_shown_where_a_request_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.wrappers", None)
    assert (
        repr(AMLRequest("GET", "/", headers=[("Authorization", "Bearer t")]).authorization) == "<Authorization bearer>"
    )
    for unreadable in ("Basic !!!", "Basic 6Tp4", "Basic d"):
        assert AMLRequest("GET", "/", headers=[("Authorization", unreadable)]).authorization is None


FORM = [("Content-Type", "application/x-www-form-urlencoded")]
PROXIED = [
    ([("X-Forwarded-Proto", "https")], "127.0.0.1", "https"),
    ([("X-Forwarded-Proto", "https")], "::1", "https"),
    ([("X-Forwarded-Proto", "https")], "::ffff:127.0.0.1", "https"),
    ([("X-Forwarded-Ssl", "on"), ("X-Forwarded-Proto", "https")], "127.0.0.1", "https"),
    ([("X-Forwarded-Protocol", "ssl")], "127.0.0.1", "https"),
    ([("X-Forwarded-Proto", "https")], "192.0.2.7", "http"),
    ([("X-Forwarded-Proto", "https")], None, "http"),
    ([("X-Forwarded-Proto", "HTTPS")], "127.0.0.1", "http"),
    ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")], "127.0.0.1", "http"),
    ([], "127.0.0.1", "http"),
]


@pytest.mark.parametrize(("headers", "address", "scheme"), PROXIED)
def test_a_proxy_on_the_machine_says_that_its_client_came_by_tls(
    headers: list[tuple[str, str]], address: str | None, scheme: str
) -> None:
    request = AMLRequest("POST", "/score", headers=[("Host", "A.example"), *headers], address=address)
    assert (request.scheme, request.is_secure) == (scheme, scheme == "https")
    assert (request.url, request.host_url) == (f"{scheme}://a.example/score", f"{scheme}://a.example/")
    assert request._environment()["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("told", "host"),
    [("h:80", "h"), ("[::1]:80", "[::1]"), ("h:443", "h:443"), ("h:8080", "h:8080"), ("H", "H")],
)
def test_a_port_that_goes_without_saying_is_not_said(told: str, host: str) -> None:
    assert AMLRequest("GET", "/score", headers=[("Host", told)]).host == host


def test_escapes_of_what_is_not_utf_8_stay_escapes() -> None:
    request = AMLRequest("GET", "/score", query="a=%FF&b=%C3%A9%c3&%fe=+", body=b"f=%FF", headers=FORM)
    assert request.args == {"a": "%FF", "b": "é%C3", "%FE": " "}
    assert request.form == {"f": "%FF"}


def test_a_quoted_cookie_may_hold_what_ends_others() -> None:
    sent = 'a="b;c\\"d"; e="\\303\\251"; f="x; g=1'
    cookies = AMLRequest("GET", "/", headers=[("Cookie", sent)]).cookies
    assert cookies == {"a": 'b;c"d', "e": "é", "f": '"x', "g": "1"}


def test_one_irregular_cookie_costs_no_other() -> None:
    sent = 'a=1; b="q q"; c=%20; a=2; d; =e; f=x=y; {"g"}=1; h="x\\054\\"y"; i="'
    cookies = AMLRequest("GET", "/", headers=[("Cookie", sent)]).cookies
    expected = {"a": "1", "b": "q q", "c": "%20", "d": "", "f": "x=y", '{"g"}': "1", "h": 'x,"y', "i": '"'}
    assert cookies.to_dict() == expected
    assert cookies.getlist("a") == ["1", "2"]
    assert AMLRequest("GET", "/").cookies == {}


def seconds_of(read: Callable[[str], object], header: str) -> float:
    """Of the processor; the least of three."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        read(header)
        taken.append(time.process_time() - began)
    return min(taken)


def cookies_of(header: str) -> object:
    return AMLRequest("GET", "/", headers=[("Cookie", header)]).cookies


@pytest.mark.parametrize(
    ("read", "before", "unit", "after"),
    [
        (cookies_of, "a", " ", "b"),
        (cookies_of, "a=b", " ", "c"),
        (cookies_of, 'a="', "\\;", "b"),
        (members, '"', '\\"', "a"),
        (members, "", '",', ""),
        (lambda header: MIMEAccept(header).best_match(["text/html"]), "a", " ", "/b"),
        (lambda header: MIMEAccept(header).best_match(["text/html"]), "a", " ;", "/b"),
    ],
)
def test_a_header_takes_as_long_as_it_is(read: Callable[[str], object], before: str, unit: str, after: str) -> None:
    """Thirty times the header, not a thousand times the work: a client may send 64 KB of it."""
    short, long = (before + unit * times + after for times in (2_000, 60_000))
    assert seconds_of(read, long) < 200 * seconds_of(read, short)


def test_what_a_script_changes_in_a_request_stays_changed() -> None:
    request = AMLRequest("POST", "/score", query="a=1", headers=[("X-A", "1")])
    request.headers.add("X-B", "2")
    request.args["c"] = "3"
    assert dict(request.headers.items()) == {"X-A": "1", "X-B": "2"}
    assert request.args == {"a": "1", "c": "3"}
    request.args = Fields([("d", "4")])
    assert (request.args, request.query_string) == ({"d": "4"}, b"a=1")

"""AMLResponse: the names of Flask's response, on the standard library alone."""

from __future__ import annotations

import copy
from array import array
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from typing import Any

import pytest

from azureml.contrib.services._mappings import Fields, Headers
from azureml.contrib.services.aml_response import AMLResponse

BEGIN = "Thu, 01 Jan 1970 00:00:00 GMT"


# --- what it is made of -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("message", [{"a": 1}, 7, 1.5, array("d", [1.0])])
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
    del response.headers["Vary"]  # as with Flask's: there may be none


@pytest.mark.parametrize(
    ("status", "code", "line"),
    [
        (404, 404, "404 NOT FOUND"),
        ("404", 404, "404 NOT FOUND"),
        ("202 My Reason", 202, "202 ACCEPTED"),
        (None, 200, "200 OK"),
        (299, 299, "299 UNKNOWN"),
    ],
)
def test_a_status_is_a_number_or_a_line(status: Any, code: int, line: str) -> None:
    first, second, third = AMLResponse("x", status), AMLResponse("x", 201), AMLResponse("x", 201)
    second.status = status
    third.status_code = status
    for response in (first, second, third):
        assert (response.status_code, response.status) == (code, line)


@pytest.mark.parametrize("status", ["", "OK", [200], object()])
def test_a_status_that_is_none(status: Any) -> None:
    with pytest.raises(ValueError, match="as in 404 or '404 Not Found'"):
        AMLResponse("x", status)


# --- headers that are attributes --------------------------------------------------------------------------------------


def headers_after(**attributes: Any) -> list[tuple[str, str]]:
    """What stands in the headers behind the content type, once the attributes were set."""
    response = AMLResponse("x", 200)
    for name, value in attributes.items():
        setattr(response, name, value)
        assert getattr(response, name) is not None
    return response.headers.items()[1:]


def test_headers_that_are_attributes() -> None:
    assert headers_after(location="/z", content_encoding="gzip", retry_after=5) == [
        ("Location", "/z"),
        ("Content-Encoding", "gzip"),
        ("Retry-After", "5"),
    ]
    assert headers_after(access_control_allow_origin="*", access_control_allow_headers=["A", "B"], vary=[]) == [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Headers", "A, B"),
    ]
    assert headers_after(age=timedelta(minutes=1), expires=date(2030, 1, 2)) == [
        ("Age", "60"),
        ("Expires", "Wed, 02 Jan 2030 00:00:00 GMT"),
    ]
    moment = datetime(2020, 1, 2, tzinfo=timezone(timedelta(hours=1)))
    assert headers_after(expires=0, last_modified=moment, date=datetime(2020, 1, 2)) == [
        ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("Last-Modified", "Wed, 01 Jan 2020 23:00:00 GMT"),
        ("Date", "Thu, 02 Jan 2020 00:00:00 GMT"),
    ]
    response = AMLResponse("x", 200, {"Location": "/z", "Age": "3", "Expires": "soon"})
    assert (response.location, response.age, response.expires) == ("/z", timedelta(seconds=3), None)
    assert (response.retry_after, response.access_control_allow_credentials) == (None, False)
    response.location = None
    del response.age
    response.access_control_allow_credentials = True
    assert response.headers.keys() == ["Content-Type", "Expires", "Access-Control-Allow-Credentials"]
    response.access_control_allow_credentials = False
    assert response.headers.keys() == ["Content-Type", "Expires"]


def test_names_in_a_header() -> None:
    response = AMLResponse("x", 200, {"Vary": "Accept"})
    response.vary.add("Origin")
    response.vary.update(["accept", "Cookie"])
    assert response.headers.getlist("Vary") == ["Accept, Origin, Cookie"]
    response.vary.discard("ORIGIN")
    assert ("cookie" in response.vary, list(response.vary)) == (True, ["Accept", "Cookie"])
    assert (str(response.vary), response.vary[0], response.vary.as_set()) == (
        "Accept, Cookie",
        "Accept",
        {"accept", "cookie"},
    )
    assert (response.vary.find("COOKIE"), response.vary.find("x"), response.vary.index("accept")) == (1, -1, 0)
    with pytest.raises(IndexError):
        response.vary.index("x")
    with pytest.raises(KeyError):
        response.vary.remove("x")
    response.vary.add("of, two")
    assert (response.headers["Vary"], len(response.vary)) == ('Accept, Cookie, "of, two"', 3)
    del response.vary[2]
    response.vary = "X"
    response.vary.remove("x")
    assert "Vary" not in response.headers
    response.allow = {"GET"}
    response.allow.clear()
    assert "Allow" not in response.headers


def test_cache_control() -> None:
    response = AMLResponse("x", 200, {"Cache-Control": "public"})
    response.cache_control.max_age = 5
    response.cache_control.no_store = True
    response.cache_control.public = False
    assert response.headers["Cache-Control"] == "max-age=5, no-store"
    cache = response.cache_control
    assert (cache.max_age, cache.no_store, cache.public, cache.private) == (5, True, False, None)
    del cache.max_age, cache.no_store
    assert "Cache-Control" not in response.headers
    cache.private, cache.no_store, cache.max_age = "A, B", 1, 60.5
    assert response.headers["Cache-Control"] == 'private="A, B", no-store, max-age=60'
    assert (cache.private, cache.no_store) == ("A, B", True)


# --- cookies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "attributes", "line"),
    [
        ("b", {}, "a=b; Path=/"),
        ("b", {"max_age": timedelta(minutes=1), "expires": 0}, f"a=b; Expires={BEGIN}; Max-Age=60; Path=/"),
        ("b", {"secure": True, "httponly": 1, "path": "/p"}, "a=b; Secure; HttpOnly; Path=/p"),
        ("b", {"partitioned": True, "samesite": "none"}, "a=b; Secure; Path=/; SameSite=None; Partitioned"),
        ("b", {"domain": ".h.org:80", "path": None}, "a=b; Domain=h.org"),
        ("b", {"domain": "bücher.de", "path": "/ü;"}, "a=b; Domain=xn--bcher-kva.de; Path=/%C3%BC%3B"),
        ('b c;"ü\\', {}, 'a="b c\\073\\"\\303\\274\\\\"; Path=/'),
    ],
)
def test_cookies_that_are_set(value: str, attributes: Any, line: str) -> None:
    response = AMLResponse("x", 200)
    response.set_cookie("a", value, **attributes)
    assert response.headers.getlist("Set-Cookie") == [line]
    (cookie,) = SimpleCookie(line.replace("; Partitioned", "")).values()
    assert cookie.value.encode("latin-1").decode() == value


def test_a_cookie_that_is_to_last() -> None:
    response = AMLResponse("x", 200)
    response.set_cookie("a", "b", max_age=3600)
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    left = parsedate_to_datetime(cookie["expires"]) - datetime.now(UTC)
    assert cookie["max-age"] == "3600"
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_a_cookie_with_a_samesite_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="'Strict', 'Lax' or 'None', not 'Loose'"):
        AMLResponse("x", 200).set_cookie("a", samesite="Loose")


def test_a_cookie_that_is_deleted() -> None:
    response = AMLResponse("x", 200)
    response.delete_cookie("a", path="/p")
    assert response.headers["Set-Cookie"] == f"a=; Expires={BEGIN}; Max-Age=0; Path=/p"


# --- its body, and what it refuses ------------------------------------------------------------------------------------


def test_the_body_of_a_response() -> None:
    response = AMLResponse({"a": 1}, 200, json_str=True)
    assert (response.is_json, response.json, response.get_data(as_text=True)) == (True, {"a": 1}, '{"a": 1}')
    response.mimetype = "text/csv"
    assert (response.content_type, response.mimetype_params) == ("text/csv; charset=utf-8", {"charset": "utf-8"})
    assert (response.json, response.get_json(force=True)) == (None, {"a": 1})
    response.response = ["a", b"b"]
    assert response.data == b"ab"
    assert response.get_json(force=True, silent=True) is None
    response.add_etag()
    assert response.get_etag() == ("da23614e02469a0d7c7bd1bdab5c9c474b1904dc", False)
    response.set_etag("e", weak=True)
    assert (response.headers["etag"], response.get_etag()) == ('W/"e"', ("e", True))
    with pytest.raises(ValueError, match="no quotation marks"):
        response.set_etag('a"b')
    response.mimetype = "image/png"
    assert response.content_type == "image/png"


def test_the_length_of_a_response() -> None:
    response, streamed = AMLResponse("xé", 200), AMLResponse(iter(["a"]), 200)
    assert (response.content_length, response.is_sequence) == (3, True)
    assert (streamed.content_length, streamed.is_sequence, streamed.data) == (None, False, b"a")
    response.content_length = 5
    assert (response.content_length, response.headers["Content-Length"]) == (5, "5")


def test_headers_are_updated_by_their_names() -> None:
    headers = AMLResponse("x", 200, {"A": "0, 00", "B": "0"}).headers
    headers.update({"a": ["1", "2"], "C": "3"}, D=("4",))
    assert headers.items()[1:] == [("B", "0"), ("a", "1"), ("a", "2"), ("C", "3"), ("D", "4")]
    headers.update(Headers([("a", "5"), ("A", "6")]), Fields([("C", "7"), ("C", "8")]), [("B", "9")])
    assert headers.items()[1:] == [("D", "4"), ("A", "5"), ("A", "6"), ("C", "7"), ("C", "8"), ("B", "9")]


def test_what_only_flasks_response_has() -> None:
    with pytest.raises(AttributeError, match=r"no 'make_conditional' of its own.*import flask"):
        AMLResponse("x", 200).make_conditional()
    assert copy.deepcopy(AMLResponse("x", 404)).status_code == 404


@pytest.mark.parametrize("value", [None, ["a"], b"a"])
def test_a_header_that_is_no_text(value: object) -> None:
    with pytest.raises(TypeError, match=r"'X' of an AMLResponse is .*, not text"):
        AMLResponse("x", 200, {"X": value})
    assert AMLResponse("x", 200, {"X": 5}).headers["X"] == "5"


@pytest.mark.parametrize(
    ("value", "told"), [("a\r\nX-Evil: 1", "a line break"), ("a\nb", "a line break"), ("a\0", "a NUL")]
)
def test_header_injection_is_refused(value: str, told: str) -> None:
    response = AMLResponse("x", 200, {"Safe": "kept"})
    with pytest.raises(ValueError, match=told):
        response.headers["Safe"] = value
    assert response.headers["Safe"] == "kept"
    with pytest.raises(ValueError, match=told):
        AMLResponse("x", 200, {"X": value})


def test_a_response_is_made_whole_to_be_kept() -> None:
    streamed = AMLResponse(iter(["a", "b"]), 200)
    assert streamed.calculate_content_length() is None
    streamed.freeze()
    assert (streamed.is_streamed, streamed.calculate_content_length()) == (False, 2)
    assert streamed.get_etag() == ("da23614e02469a0d7c7bd1bdab5c9c474b1904dc", False)
    assert (streamed.get_data(), streamed.get_data()) == (b"ab", b"ab")


def test_headers_are_joined_into_a_response() -> None:
    response = AMLResponse("a", 200, {"X-A": "1"})
    response.headers |= {"x-a": "2", "X-B": ["3", "4"]}
    assert response.headers.items()[1:] == [("x-a", "2"), ("X-B", "3"), ("X-B", "4")]

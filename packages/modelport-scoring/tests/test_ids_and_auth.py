"""Ids, their echo, and keys."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from modelport_scoring import AuthSettings, RequestRefused
from modelport_scoring.http.ids import new_id
from scoring_services import RunningService, Services

NEW = "(new)"
KEY, OTHER = "first-secret-key", "second-secret-key"


def digests(*keys: str) -> list[str]:
    return [hashlib.sha256(key.encode()).hexdigest() for key in keys]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ((None, None, None), (NEW, NEW, None)),
        (("A", None, None), ("A", "A", None)),
        ((None, "B", None), (NEW, "B", "B")),
        ((None, None, "C"), (NEW, "C", "C")),
        (("A", "B", None), ("A", "B", "B")),
        ((None, "B", "C"), (NEW, "B", "C")),
        (("A", None, "C"), ("A", "C", "C")),
        (("A", "B", "C"), ("A", "B", "C")),
    ],
)
@pytest.mark.parametrize("path", ["/", "/score", "/swagger.json"])
def test_the_echo_table(
    echo: RunningService, path: str, sent: tuple[str | None, ...], received: tuple[str | None, ...]
) -> None:
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    headers = {name: value for name, value in zip(names, sent, strict=True) if value is not None}
    answer = echo.ask("GET", path, headers=headers)
    assert answer.status == 200
    fresh = answer.headers["x-request-id"] if received[0] == NEW else NEW
    if fresh is not NEW:
        assert uuid.UUID(fresh).version == 4
    expected = tuple(fresh if value == NEW else value for value in received)
    assert tuple(answer.headers.get(name) for name in names) == expected


def test_trace_id_is_repeated(echo: RunningService) -> None:
    assert echo.ask("GET", "/score", headers={"TraceId": "abc"}).headers["traceid"] == "abc"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-request-id", "x-request-id must not exceed 100 characters"),
        ("x-ms-request-id", "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"),
        ("x-ms-client-request-id", "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"),
    ],
)
def test_long_ids_are_431(echo: RunningService, name: str, text: str) -> None:
    assert echo.score("x", headers={name: "i" * 100}).status == 200
    answer = echo.score("x", headers={name: "i" * 101})
    assert (answer.status, answer.message) == (431, text)
    assert not {"x-ms-request-id", "x-ms-client-request-id"} & set(answer.headers)
    assert ("x-request-id" in answer.headers) is (name != "x-request-id")


def test_the_request_s_id_is_told_where_another_is_too_long(echo: RunningService) -> None:
    answer = echo.score("x", headers={"x-request-id": "A", "x-ms-client-request-id": "i" * 101})
    assert (answer.status, answer.headers["x-request-id"]) == (431, "A")


def test_new_ids_are_different_uuids() -> None:
    ids = {new_id().decode() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in ids)
    assert all(uuid.UUID(each).variant == uuid.RFC_4122 for each in ids)


def test_either_key_lets_in_and_nothing_else_does(services: Services) -> None:
    auth = {"enabled": True, "key_digests": digests(KEY, OTHER)}
    service = services.start("def init(): pass\ndef run(x, request_headers): return request_headers\n", auth=auth)
    assert service.ask("GET", "/").status == 200
    missing = service.score("x")
    assert (missing.status, missing.message) == (401, "Unauthorized, no Auth Header")
    assert missing.headers["www-authenticate"] == "Bearer"
    assert missing.headers["x-ms-run-function-failed"] == "False"
    for wrong in ("Bearer wrong", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", KEY, f"Bearer {digests(KEY)[0]}"):
        answer = service.score("x", headers={"Authorization": wrong})
        assert answer.status == 401
        assert answer.message != missing.message
        assert KEY not in answer.message
    assert service.ask("GET", "/swagger.json").status == 401
    for key in (KEY, OTHER):
        answer = service.score("{}", headers={"Authorization": f"Bearer {key}", "X-Own": "1"})
        assert answer.status == 200
        assert answer.json["X-Own"] == "1"
        assert answer.json["X-Ms-Request-Id"] == answer.headers["x-ms-request-id"]
        assert "Authorization" not in answer.json
    written = "".join(p.read_text() for p in service.folder.rglob("*") if p.is_file() and "work" not in p.parts)
    assert KEY not in written
    assert OTHER not in written


def test_keys_are_replaced_without_a_restart(services: Services) -> None:
    service = services.start()
    pid = service.status.pid
    service.control.configure(auth=AuthSettings(enabled=True, key_digests=digests(KEY)))
    assert service.score("x").status == 401
    assert service.score("x", headers={"Authorization": f"Bearer {KEY}"}).status == 200
    service.control.configure(auth=AuthSettings(enabled=True, key_digests=digests(OTHER)))
    assert service.score("x", headers={"Authorization": f"Bearer {KEY}"}).status == 401
    assert service.score("x", headers={"Authorization": f"Bearer {OTHER}"}).status == 200
    with pytest.raises(RequestRefused, match="key_digests"):
        service.control.configure(auth=AuthSettings(enabled=True, key_digests=[OTHER]))
    assert service.settings.auth.key_digests == digests(OTHER)
    assert service.status.pid == pid


def test_an_unauthorized_upload_is_not_read(services: Services) -> None:
    service = services.start(auth={"enabled": True, "key_digests": digests(KEY)})
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    assert service.raw(head + b"x" * 200_000).startswith(b"HTTP/1.1 401 ")
    small = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert b"Healthy" in service.raw(small + last)

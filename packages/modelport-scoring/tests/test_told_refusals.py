"""What a connection refuses by itself: it is counted and written down as all else is, and concerns nobody else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from prometheus_client import parser

from scoring_services import ECHO, RunningService, Services, ask, read_all, wait_until

KEY = {"Authorization": "Bearer key"}
LIMITS = {"max_body_bytes": 100, "max_header_bytes": 1000, "request_timeout_s": 0.2}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("strict"))
    auth = {"enabled": True, "key_digests": [hashlib.sha256(b"key").hexdigest()]}
    telemetry = {"access_log": True, "access_log_format": "json"}
    yield made.start(ECHO, limits=LIMITS, auth=auth, telemetry=telemetry)
    made.end()


def request(headers: Mapping[str, object], body: bytes = b"", *, path: str = "/score") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "here", **KEY, **headers}.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def counted(service: RunningService) -> dict[tuple[str, str], float]:
    """Requests that no worker answered, by route and status."""
    text = service.ask("GET", "/metrics", headers=KEY).body.decode()
    samples = [each for family in parser.text_string_to_metric_families(text) for each in family.samples]
    name = "modelport_other_requests_total"
    return {(one.labels["route"], one.labels["status"]): one.value for one in samples if one.name == name}


def logged(service: RunningService, **wanted: object) -> dict[str, Any]:
    """The first line of the access log that says this."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        log = service.folder / "logs" / "access.log"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        found[:] = [line for line in lines if wanted.items() <= line.items()]
        return bool(found)

    wait_until(look, what=f"a line with {wanted}")
    return found[0]


def test_probes_are_counted_and_do_not_fill_the_access_log(strict: RunningService) -> None:
    before = counted(strict).get(("/", "200"), 0)
    assert strict.ask("GET", "/").status == 200
    assert strict.ask("GET", "/behind-it").status == 404
    logged(strict, path="/behind-it")
    log = (strict.folder / "logs" / "access.log").read_text()
    assert "/" not in [json.loads(line)["path"] for line in log.splitlines()]
    assert counted(strict)["/", "200"] == before + 1


def test_a_slow_client_does_not_end_the_connections_of_others(strict: RunningService) -> None:
    headers = {"Content-Length": 3, "x-same": "for both"}
    with strict.raw_connection() as slow:
        slow.sendall(request(headers))
        assert read_all(slow).startswith(b"HTTP/1.1 408 ")
    connection = strict.connect()
    for _ in range(2):  # the head of the slow one was known from then on
        with strict.raw_connection() as other:
            other.sendall(request(headers, b"abc"))
            answer = other.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in answer
    assert ask(connection, "POST", "/score", body="x", headers=KEY).headers.get("connection") is None


@pytest.mark.parametrize(
    ("data", "route", "status"),
    [
        (request({"Content-Length": 101}), "/score", 413),
        (request({"Transfer-Encoding": "chunked"}, b"65\r\n" + b"x" * 101 + b"\r\n"), "/score", 413),
        (request({"Content-Length": 9}, b"1", path="/v2/models/demo/infer"), "/v2", 408),
        (request({"Content-Length": 99}, path="/nowhere"), "other", 404),
        (request({"Content-Length": 1, "x-long": "x" * 1000}), "other", 431),
        (b"POST\r\n\r\n", "other", 400),
        (b"POST /score HTTP/1.1\r\nHost: h", "other", 408),
    ],
)
def test_every_refusal_is_counted_once(strict: RunningService, data: bytes, route: str, status: int) -> None:
    before = counted(strict)
    strict.raw(data)  # some only after limits.request_timeout_s
    after = counted(strict)
    changed = {key: after[key] - before.get(key, 0.0) for key in after if after[key] != before.get(key)}
    changed.pop(("/metrics", "200"), None)
    assert changed == {(route, str(status)): 1}


def test_what_could_be_read_of_it_is_logged(strict: RunningService) -> None:
    strict.raw(request({"Content-Length": 101}, path="/score?question"))
    strict.raw(b"POST\r\n\r\n")
    assert logged(strict, status=413)["path"] == "/score"
    line = logged(strict, status=400)
    assert (line["method"], line["path"]) == (None, None)


def test_who_is_refused_is_found_by_its_ids(strict: RunningService) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    answer = strict.score("x", headers={"x-ms-client-request-id": "mine", "traceparent": f"00-{trace}-{span}-01"})
    assert answer.status == 401
    line = logged(strict, status=401, request_id=answer.headers["x-request-id"])
    assert (line["client_request_id"], line["path"]) == ("mine", "/score")
    assert (line["trace_id"], line["span_id"]) == (trace, span)

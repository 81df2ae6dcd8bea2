"""What clients of the clouds' front ends read where a request is refused, and which is refused (reference, 6.4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import msgspec
import pytest

from modelport_scoring import RequestRefused, ServiceState, Traffic
from scoring_services import Answer, Gate, RunningService, Services, wait_until
from split_services import answering, hosting

SLEEPER = """
import time

def init():
    pass

def run(data):
    time.sleep(float(data))
    return data
"""


def holding(gate: Gate) -> str:
    """A script whose answers wait for the gate."""
    return answering("held", inside=gate.wait)


def at_once(service: RunningService, gate: Gate, *, requests: int) -> list[Answer]:
    """The answers to requests that are sent together, once the first has been taken: who is refused comes first."""
    with ThreadPoolExecutor(requests) as pool:
        sent = [pool.submit(service.score, "x")]
        wait_until(lambda: service.status.requests_in_flight > 0, what="the first has been taken")
        sent += [pool.submit(service.score, "x") for _ in range(requests - 1)]
        done = as_completed(sent)
        refused = next(done).result()
        gate.open()
        return [refused, *(future.result() for future in done)]


def test_the_router_says_only_that_it_is_overloaded(services: Services, gate: Gate) -> None:
    service = services.start(holding(gate), front_end="aks", limits={"queue_wait_ms": 50})
    refused, first = at_once(service, gate, requests=2)
    assert first.status == 200
    assert (refused.status, refused.body) == (503, b"Too many requests for service demo (overloaded)")
    assert refused.headers["content-type"] == "text/html; charset=utf-8"
    assert refused.headers["modelport-limit"] == "queue_wait_ms"
    assert refused.headers["retry-after"] == "1"


def test_the_router_without_a_replica(services: Services) -> None:
    service = services.start(
        "def init(): raise OSError\ndef run(data): pass", front_end="aks", until=ServiceState.FAILED
    )
    answer = service.score("x")
    assert (answer.status, answer.body) == (503, b"No ready replicas for service demo")
    assert answer.headers["modelport-reason"] == "the entry script failed to start; the log says why"


@pytest.mark.parametrize(
    ("front_end", "begins"), [("aci", b"Post http://localhost:5001/score: "), ("aks", b'{"message')]
)
def test_a_script_that_is_too_slow(services: Services, front_end: str, begins: bytes) -> None:
    limits = {"scoring_timeout_ms": 50, "drain_timeout_s": 0.1}
    answer = services.start(SLEEPER, front_end=front_end, limits=limits).score("0.3")
    assert answer.status == 504
    assert answer.body.startswith(begins)
    assert b"scoring_timeout_ms" in answer.body or answer.headers["modelport-limit"] == "scoring_timeout_ms"


@pytest.mark.parametrize(
    ("mode", "front_end", "status", "body"),
    [
        ("json", "own", 500, b'{"message": "Scoring timeout after 50 ms"}'),
        ("container", "own", 500, b"Scoring timeout after 50 ms"),
        ("json", "aks", 504, b'{"message": "Scoring timeout after 50 ms: limits.scoring_timeout_ms is 50. '),
    ],
)
def test_a_container_with_nothing_before_it(
    services: Services, mode: str, front_end: str, status: int, body: bytes
) -> None:
    limits = {"scoring_timeout_ms": 50, "drain_timeout_s": 0.1}
    answer = services.start(SLEEPER, error_mode=mode, front_end=front_end, limits=limits).score("0.3")
    assert (answer.status, answer.headers["x-ms-run-function-failed"]) == (status, "True")
    assert answer.body.startswith(body)
    assert status == 504 or (answer.body, answer.headers["modelport-limit"]) == (body, "scoring_timeout_ms")


def test_what_counts_as_taken_waits_as_long_as_it_takes(services: Services, gate: Gate) -> None:
    """Three for each worker: only the fourth waits for one."""
    service = services.start(holding(gate), limits={"queue_wait_ms": 50, "requests_per_worker": 3})
    answers = at_once(service, gate, requests=4)
    assert [answer.status for answer in answers] == [503, 200, 200, 200]


def test_a_lower_number_holds_for_those_that_wait(services: Services, gate: Gate) -> None:
    service = services.start(holding(gate), limits={"queue_wait_ms": 50, "requests_per_worker": 3})
    limits = service.settings.limits
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(service.score, "x")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the first has been taken")
        second = pool.submit(service.score, "x")
        wait_until(lambda: service.status.requests_waiting == 1, what="one waits")
        service.control.configure(limits=type(limits)(queue_wait_ms=50, requests_per_worker=1))
        assert second.result().status == 503
        gate.open()
        assert first.result().status == 200


def test_a_hosted_revision_has_limits_of_its_own(services: Services) -> None:
    service = services.start(SLEEPER, limits={"drain_timeout_s": 0.1})
    service.control.host(service.revision(2, SLEEPER, limits={"scoring_timeout_ms": 50}))
    assert service.score("0.2").status == 200
    service.control.split(Traffic(weights={2: 100}))
    answer = service.score("0.2")
    assert answer.status == 504
    assert "Scoring timeout after 50 ms" in answer.message
    wrong: list[tuple[dict[str, Any], str]] = [({"nope": 1}, "nope"), ({"queue_wait_ms": 0}, r"limits\.queue_wait_ms")]
    for limits, named in wrong:
        refused = msgspec.structs.replace(service.settings.others[0], number=3, limits=limits)
        with pytest.raises(RequestRefused, match=rf"revision 3: .*{named}"):
            service.control.host(refused)


def test_a_hosted_revision_is_replaced_with_its_share(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), answering("3"), traffic=Traffic(weights={2: 100}))
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(service.score, "x") for _ in range(50)]
        service.control.switch(service.revision(4, answering("4")), replacing=2)
        answers += [pool.submit(service.score, "x") for _ in range(50)]
        seen = [future.result() for future in answers]
    assert {answer.status for answer in seen} == {200}
    assert {answer.json for answer in seen} == {"2", "4"}
    assert [revision.revision for revision in service.status.revisions] == [1, 4, 3]
    assert service.settings.traffic == Traffic(weights={4: 100})
    with pytest.raises(RequestRefused, match="revision 9 is not hosted"):
        service.control.switch(service.revision(5, answering("5")), replacing=9)
    service.control.switch(service.revision(6, answering("6")), replacing=1)
    assert [revision.revision for revision in service.status.revisions] == [6, 4, 3]

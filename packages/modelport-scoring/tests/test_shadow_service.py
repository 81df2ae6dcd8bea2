"""Copies of requests for a revision of a real service."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from modelport_scoring import (
    Limits,
    ServiceState,
    Traffic,
)
from scoring_services import Gate, RunningService, Services, ask, wait_until
from split_services import REVISION, answering, asked, asked_once, hosting, state_of
from test_inference_service import SUM
from test_traffic import within


def shadow_counts(service: RunningService) -> dict[str, float]:
    """``equal``, ``different`` and ``dropped``, of revision 2."""
    body = service.ask("GET", "/metrics").body.decode()
    names = {"true": "equal", "false": "different", None: "dropped"}
    return {
        names[sample.labels.get("equal")]: sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.name.startswith("modelport_shadow") and sample.labels["revision"] == "2"
    }


def test_a_shadow_that_says_the_same_and_one_that_does_not(services: Services) -> None:
    numbers = "def init(): pass\ndef run(x): return {{'a': {a}, 'b': [2, None]}}"
    service = hosting(services, numbers.format(a="1.0"), numbers.format(a="1.0 + float(x) / 1e6"))
    service.control.split(Traffic(shadow=2))
    connection = service.connect()
    for body in ("0", "0", "1"):
        answer = ask(connection, "POST", "/score", body=body)
        assert (answer.json["a"], answer.headers[REVISION]) == (1.0, "1")
    wait_until(lambda: shadow_counts(service) == {"equal": 2, "different": 1}, what="compared")
    service.control.split(Traffic(shadow=2, shadow_tolerance=1e-5))
    ask(connection, "POST", "/score", body="1")
    wait_until(lambda: shadow_counts(service) == {"equal": 3, "different": 1}, what="compared with tolerance")
    service.control.split(Traffic(shadow=2, shadow_percent=0))
    ask(connection, "POST", "/score", body="1")
    assert service.status.revisions[1].shadow
    assert sum(shadow_counts(service).values()) == 4


def test_a_share_is_copied_and_what_asks_for_a_revision_is_not(services: Services) -> None:
    traffic = Traffic(shadow=2, shadow_percent=25, version_header="x-revision")
    service = hosting(services, answering("1"), answering("1"), traffic=traffic)
    assert asked(service, 1000) == {"1": 1000}
    asked(service, 100, headers={"x-revision": "1"})
    wait_until(lambda: not state_of(service, 2).requests_in_flight, what="all copies are answered")
    counts = shadow_counts(service)
    assert set(counts) == {"equal", "different"}
    assert within(int(counts["equal"]), of=1000, percent=25)


def test_a_shadow_that_fails_fails_nothing(services: Services) -> None:
    script = "import os\ndef init(): pass\ndef run(x):\n    if x == 'die': os._exit(3)\n    raise ValueError('no')\n"
    service = hosting(services, answering("1"), script, traffic=Traffic(shadow=2))
    restarts = state_of(service, 2).workers[0].restarts
    for body in ("raise", "die", "raise"):
        assert service.score(body).json == "1"
    wait_until(lambda: shadow_counts(service).get("different", 0) >= 2, what="compared")
    wait_until(lambda: state_of(service, 2).workers[0].restarts > restarts, what="the shadow is started again")
    assert service.status.state is ServiceState.RUNNING


def test_a_slow_shadow_delays_nothing_and_what_is_too_much_for_it_is_dropped(services: Services) -> None:
    slow = answering("2", inside="time.sleep(600)")
    service = hosting(services, answering("1"), slow, traffic=Traffic(shadow=2, shadow_copies=10))
    assert asked(service, 300) == {"1": 300}
    status = state_of(service, 2)
    assert status.requests_in_flight + status.requests_waiting == 10
    assert shadow_counts(service)["dropped"] == 290
    service.control.configure(limits=Limits(drain_timeout_s=0.2))
    service.control.release(2)
    assert asked_once(service) == "1"


def test_copies_that_no_worker_takes_are_no_difference(services: Services, gate: Gate) -> None:
    slow = answering("1", inside=gate.wait)
    service = hosting(services, answering("1"), slow, traffic=Traffic(shadow=2), limits={"queue_wait_ms": 300})
    assert asked(service, 20) == {"1": 20}
    wait_until(lambda: shadow_counts(service) == {"dropped": 19}, what="they have waited too long")
    gate.open()
    wait_until(lambda: shadow_counts(service) == {"dropped": 19, "equal": 1, "different": 0}, what="one was scored")


def test_a_shadow_that_gets_a_share_has_no_copies_before_requests(services: Services, gate: Gate) -> None:
    slow = answering("2", inside=gate.wait)
    service = hosting(services, answering("1"), slow, traffic=Traffic(shadow=2))
    assert asked(service, 20) == {"1": 20}
    service.control.split(Traffic(weights={2: 100}))
    assert (state_of(service, 2).requests_in_flight, state_of(service, 2).requests_waiting) == (1, 0)
    assert shadow_counts(service) == {"dropped": 19}
    gate.open()
    assert asked(service, 1) == {"2": 1}


def test_answers_that_are_too_long_are_not_compared(services: Services) -> None:
    script = "def init(): pass\ndef run(x): return 'x' * int(x)\n"
    service = hosting(services, script, script, traffic=Traffic(shadow=2))
    assert len(service.score(str(2 << 20)).body) == (2 << 20) + 2
    wait_until(lambda: shadow_counts(service).get("dropped") == 1, what="not compared")


def test_a_shadow_may_stream(services: Services) -> None:
    streaming = "import time\ndef init(): pass\ndef run(x):\n    for n in range(10_000): yield str(n) * 100\n"
    service = hosting(services, answering("1"), streaming, traffic=Traffic(shadow=2))
    for _ in range(3):
        assert service.score("x").json == "1"
    wait_until(lambda: shadow_counts(service).get("dropped") == 3, what="not compared")
    wait_until(lambda: not state_of(service, 2).requests_in_flight, what="the streams have ended")


def test_inference_answers_are_compared_whichever_revision_they_name(services: Services) -> None:
    script = SUM.format(dtype="float64")
    service = hosting(services, script, script, script, traffic=Traffic(weights={3: 100}, shadow=2))
    body = b'{"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}'
    assert service.ask("POST", "/v2/models/demo/infer", body=body).json["model_version"] == "3"
    wait_until(lambda: shadow_counts(service) == {"equal": 1, "different": 0}, what="compared")


def test_a_copy_is_in_no_access_log(services: Services) -> None:
    telemetry = {"access_log": True}
    service = hosting(services, answering("1"), answering("1"), traffic=Traffic(shadow=2), telemetry=telemetry)
    asked(service, 5)
    wait_until(lambda: shadow_counts(service).get("equal") == 5, what="compared")
    log = service.folder / "logs" / "access.log"
    wait_until(lambda: log.exists() and "/metrics" in log.read_text(), what="the log is written")
    assert log.read_text().count("POST /score") == 5

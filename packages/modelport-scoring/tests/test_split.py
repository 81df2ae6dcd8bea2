"""Several revisions of a real service at once, and requests divided among them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelport_scoring import (
    ControlClient,
    Limits,
    RequestRefused,
    RevisionStatus,
    ServiceNotRunning,
    ServiceState,
    SwitchFailed,
    SwitchInProgress,
    Traffic,
    write_settings,
)
from modelport_scoring.service_lock import is_alive
from scoring_services import Answer, RunningService, Services, ask, wait_until
from test_inference_service import SUM
from test_traffic import within

REVISION = "modelport-revision"


def answering(text: str, *, before: str = "pass", inside: str = "pass") -> str:
    return f"import os, time\ndef init():\n    {before}\ndef run(x):\n    {inside}\n    return {text!r}\n"


def hosting(services: Services, *scripts: str, traffic: Traffic | None = None, **more: Any) -> RunningService:
    """A running service with one revision for each script, the first of them the default one."""
    service = services.start(scripts[0], **more)
    for number, script in enumerate(scripts[1:], 2):
        service.control.host(service.revision(number, script))
    if traffic is not None:
        service.control.split(traffic)
    return service


def asked(service: RunningService, times: int, *, headers: Mapping[str, str] | None = None) -> Counter[str]:
    """Which revisions answered so many requests with the same head on one connection."""
    connection = service.connect()
    seen: Counter[str] = Counter()
    for _ in range(times):
        answer = ask(connection, "POST", "/score", body="x", headers=headers)
        assert (answer.status, answer.json) == (200, answer.headers[REVISION])
        seen[answer.json] += 1
    connection.close()
    return seen


@contextmanager
def load(service: RunningService, *, clients: int = 4) -> Iterator[Counter[Any]]:
    """Clients that ask without a pause; counts the answers by status and body, and every error."""
    seen: Counter[Any] = Counter()
    stop = threading.Event()

    def client() -> None:
        connection = service.connect()
        while not stop.is_set():
            try:
                answer = ask(connection, "POST", "/score", body="x")
                seen[answer.status, answer.body] += 1
            except Exception as error:
                seen[repr(error)] += 1
                connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: seen.total() > 100, what="load")
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def state_of(service: RunningService, number: int) -> RevisionStatus:
    return next(revision for revision in service.status.revisions if revision.revision == number)


def workers(service: RunningService, number: int) -> list[int]:
    return [worker.pid for worker in state_of(service, number).workers if worker.pid is not None]


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


# --- who gets which request -------------------------------------------------------------------------------------------


def test_requests_are_divided_by_weight_and_the_rest_goes_to_the_default(services: Services) -> None:
    service = hosting(services, *map(answering, "123"), traffic=Traffic(weights={2: 30, 3: 10}))
    seen = asked(service, 3000)
    for number, percent in (("1", 60), ("2", 30), ("3", 10)):
        assert within(seen[number], of=3000, percent=percent)
    service.control.split(Traffic(weights={3: 100}))
    assert asked(service, 100) == {"3": 100}
    service.control.split(Traffic())
    assert asked(service, 100) == {"1": 100}
    assert [(r.revision, r.percent) for r in service.status.revisions] == [(1, 100), (2, 0), (3, 0)]


def test_a_new_weight_is_in_force_on_connections_that_are_open(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"))
    connection = service.connect()
    for traffic, number in ((Traffic(), "1"), (Traffic(weights={2: 100}), "2"), (Traffic(weights={2: 0}), "1")):
        service.control.split(traffic)
        assert [ask(connection, "POST", "/score", body="x").json for _ in range(3)] == [number] * 3


def test_a_client_with_a_sticky_header_stays_where_it_is(services: Services) -> None:
    traffic = Traffic(weights={2: 40}, sticky_header="X-User")
    service = hosting(services, answering("1"), answering("2"), traffic=traffic)

    def where() -> dict[str, str]:
        connection = service.connect()
        found = {}
        for user in range(200):
            answers = [ask(connection, "GET", "/score", headers={"x-user": f"u{user}"}).json for _ in range(2)]
            assert answers[0] == answers[1]
            found[f"u{user}"] = answers[0]
        connection.close()
        return found

    before = where()
    assert within(list(before.values()).count("2"), of=200, percent=40)
    service.end()
    service.start()
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="the other one is up as well")
    assert where() == before
    service.control.split(Traffic(weights={2: 60}, sticky_header="X-User"))
    assert {user for user, at in before.items() if at == "2"} < {user for user, at in where().items() if at == "2"}
    assert set(asked(service, 100)) == {"1", "2"}  # who sends none


def test_a_client_may_ask_for_a_revision(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(version_header="X-Revision"))
    for number in ("1", "2"):
        assert asked(service, 3, headers={"x-revision": number}) == {number: 3}
    for other in ("3", "", "two", "02"):
        answer = service.score("x", headers={"x-revision": other})
        assert (answer.status, REVISION in answer.headers) == (404, False)
        assert answer.message == "There is no such revision of service demo: X-Revision may be 1, 2"
    service.control.release(2)
    assert service.score("x", headers={"x-revision": "2"}).status == 404


def test_an_answer_of_the_only_revision_names_none(services: Services) -> None:
    service = services.start(answering("1"))
    assert REVISION not in service.score("x").headers
    service.control.host(service.revision(2, answering("2")))
    assert service.score("x").headers[REVISION] == "1"
    service.control.release(2)
    assert REVISION not in service.score("x").headers


def test_a_path_of_the_inference_protocol_asks_for_a_revision(services: Services) -> None:
    # On one of two numbers the first revision fails, so that the answer tells who gave it.
    body = b'{"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [-1, 2]}]}'
    script = SUM.format(dtype="float64")
    service = hosting(services, script, script.replace("data[0, 0] < 0", "False"))

    def infer(path: str) -> Answer:
        return service.ask("POST", f"/v2/models/demo{path}/infer", body=body)

    assert (infer("").status, infer("/versions/1").status) == (502, 502)
    answer = infer("/versions/2")
    assert (answer.json["model_version"], answer.json["outputs"][0]["data"]) == ("2", [1.0])
    assert infer("/versions/3").json == {"error": 'the model has no version "3"; served at the moment: 1, 2'}
    assert service.ask("GET", "/v2/models/demo").json["versions"] == ["1", "2"]
    assert service.ask("GET", "/v2/models/demo/versions/2").json["inputs"]


def test_options_of_a_raw_script_ask_for_a_key_whichever_revision_is_raw(services: Services) -> None:
    raw = """
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass
    @rawhttp
    def run(request): return AMLResponse(request.method, 200)
    """
    auth = {"enabled": True, "key_digests": ["0" * 64]}
    service = services.start(answering("1"), auth=auth)
    assert service.ask("OPTIONS", "/score").status == 200
    service.control.host(service.revision(2, raw))
    service.control.split(Traffic(weights={2: 100}))
    assert service.ask("OPTIONS", "/score").status == 401


# --- the shadow -------------------------------------------------------------------------------------------------------


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
    begun = time.monotonic()
    assert asked(service, 300) == {"1": 300}
    assert time.monotonic() - begun < 5
    status = state_of(service, 2)
    assert status.requests_in_flight + status.requests_waiting == 10
    assert shadow_counts(service)["dropped"] == 290
    service.control.configure(limits=Limits(drain_timeout_s=0.2))
    service.control.release(2)
    assert asked_plain(service) == "1"


def asked_plain(service: RunningService) -> Any:
    return service.score("x").json


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
    service = hosting(services, script, script, traffic=Traffic(shadow=2))
    body = b'{"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}'
    assert service.ask("POST", "/v2/models/demo/infer", body=body).json["model_version"] == "1"
    wait_until(lambda: shadow_counts(service) == {"equal": 1, "different": 0}, what="compared")


def test_a_copy_is_in_no_access_log(services: Services) -> None:
    telemetry = {"access_log": True}
    service = hosting(services, answering("1"), answering("1"), traffic=Traffic(shadow=2), telemetry=telemetry)
    asked(service, 5)
    wait_until(lambda: shadow_counts(service).get("equal") == 5, what="compared")
    log = service.folder / "logs" / "access.log"
    wait_until(lambda: log.exists() and "/metrics" in log.read_text(), what="the log is written")
    assert log.read_text().count("POST /score") == 5


# --- changes under load -----------------------------------------------------------------------------------------------


def test_no_request_fails_while_revisions_come_and_go(services: Services) -> None:
    service = services.start(answering("1"))
    control = service.control

    def sees(*numbers: str) -> None:
        keys = [(200, f'"{number}"'.encode()) for number in numbers]
        before = Counter(seen)
        wait_until(lambda: all(seen[key] > before[key] + 30 for key in keys), what=f"answers of {numbers}")

    with load(service) as seen:
        control.host(service.revision(2, answering("2")))
        control.split(Traffic(weights={2: 50}))
        sees("1", "2")
        control.host(service.revision(3, answering("3")))
        control.split(Traffic(weights={2: 30}, shadow=3))
        sees("1", "2")
        control.promote(2)  # 1 is still there, without a share
        sees("2")
        control.split(Traffic(weights={1: 30, 3: 30}))
        sees("1", "2", "3")
        control.switch(service.revision(4, answering("4")))  # in the place of 2
        sees("1", "3", "4")
        control.release(1)
        sees("3", "4")
        control.release(3)
        sees("4")
    assert set(seen) == {(200, f'"{number}"'.encode()) for number in "1234"}
    settings = service.settings
    assert (settings.revision.number, settings.others, settings.traffic) == (4, [], Traffic())
    wait_until(lambda: [p.name for p in (service.folder / "work").iterdir()] == ["4"], what="folders removed")


def test_a_worker_of_a_hosted_revision_is_killed(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(weights={2: 50}))
    with load(service) as seen:
        for _ in range(3):
            (pid,) = workers(service, 2)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: pid not in workers(service, 2), what="ended")  # type: ignore[misc]
            before = seen[200, b'"2"']
            wait_until(lambda before=before: seen[200, b'"2"'] > before + 20, what="back")  # type: ignore[misc]
    lost = seen.pop((502, b"Replica closed connection before replying"), 0)
    assert lost <= 3
    assert set(seen) == {(200, b'"1"'), (200, b'"2"')}


def test_while_a_revision_has_no_worker_its_share_goes_to_the_default(services: Services) -> None:
    dies = "import os, pathlib\ndef init():\n    if pathlib.Path('{0}').exists(): os._exit(1)\ndef run(x): return '2'\n"
    mark = services._folder / "mark"
    service = hosting(services, answering("1"), dies.format(mark), traffic=Traffic(weights={2: 100}))
    assert asked(service, 3) == {"2": 3}
    mark.touch()
    os.kill(workers(service, 2)[0], signal.SIGKILL)
    wait_until(lambda: state_of(service, 2).failure is not None, what="it cannot be started again")
    assert asked(service, 20) == {"1": 20}
    status = service.status
    assert (status.state, status.failure) == (ServiceState.RUNNING, None)
    assert (status.revisions[1].state, status.revisions[1].percent) == (ServiceState.UNHEALTHY, 100)
    with pytest.raises(RequestRefused, match="revision 2 has no worker that takes requests; it is unhealthy"):
        service.control.promote(2)
    mark.unlink()
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="it is back")
    assert asked(service, 3) == {"2": 3}


def test_a_killed_server_comes_back_with_its_split(services: Services) -> None:
    service = hosting(services, *map(answering, "123"), traffic=Traffic(weights={2: 50}, shadow=3))
    before = service.status
    os.kill(before.pid, signal.SIGKILL)

    def is_back() -> bool:
        try:
            status = service.status
        except ServiceNotRunning:
            return False
        return status.pid != before.pid and all(r.state is ServiceState.RUNNING for r in status.revisions)

    wait_until(is_back, what="all three are back")
    assert [(r.revision, r.percent, r.shadow) for r in service.status.revisions] == [
        (1, 50, False),
        (2, 50, False),
        (3, 0, True),
    ]
    assert set(asked(service, 100)) == {"1", "2"}
    old = [worker.pid for revision in before.revisions for worker in revision.workers if worker.pid is not None]
    wait_until(lambda: not any(map(is_alive, old)), what="the old workers have ended")


def test_a_hosted_revision_that_fails_after_a_restart_takes_nobody_down(services: Services) -> None:
    traffic = Traffic(weights={2: 50, 3: 50}, version_header="x-revision")
    service = hosting(services, *map(answering, "123"), traffic=traffic)
    service.end()
    (service.bundles / "2" / "bundle.json").unlink()
    (service.bundles / "3" / "app" / "source" / "score.py").write_text(
        "def init(): raise OSError('gone')\ndef run(x): pass\n"
    )
    service.start()
    wait_until(lambda: state_of(service, 3).state is ServiceState.FAILED, what="it has failed")
    assert asked(service, 50) == {"1": 50}
    status = service.status
    assert (status.state, status.failure) == (ServiceState.RUNNING, None)
    second, third = status.revisions[1:]
    assert (second.state, second.percent, second.workers) == (ServiceState.FAILED, 50, [])
    assert second.failure is not None and "bundle.json" in second.failure.message
    assert third.failure is not None and (third.failure.phase, third.failure.message) == ("init", "gone")
    assert service.ask("GET", "/").body == b"Healthy"
    answer = service.score("x", headers={"x-revision": "3"})
    assert (answer.status, "that was asked for" in answer.message) == (503, True)
    service.control.release(2)
    service.control.release(3)
    assert asked_plain(service) == "1"


def test_a_failed_default_leaves_the_others_their_share_and_a_promotion_heals(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(weights={2: 50}))
    service.end()
    (service.bundles / "1" / "bundle.json").unlink()
    service.start(until=ServiceState.FAILED)
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="the other one is up")
    assert {service.score("x").status for _ in range(30)} == {200, 503}
    service.control.promote(2)
    assert asked(service, 30) == {"2": 30}
    assert service.status.state is ServiceState.RUNNING
    service.control.release(1)
    assert service.status.failure is None


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_a_revision_that_fails_is_not_hosted(services: Services) -> None:
    service = services.start(answering("1"))
    with pytest.raises(SwitchFailed, match="no model") as raised:
        service.control.host(service.revision(2, "def init(): raise OSError('no model')\ndef run(x): return x"))
    assert raised.value.failure.phase == "init"
    assert [r.revision for r in service.status.revisions] == [1]
    assert service.settings.others == []
    assert [path.name for path in (service.folder / "work").iterdir()] == ["1"]
    (service.bundles / "2").rename(service.bundles / "failed")
    service.control.host(service.revision(2, answering("2")))
    assert [r.revision for r in service.status.revisions] == [1, 2]


def test_what_is_refused(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(weights={2: 10}))
    before = (service.settings, service.status.revisions)
    control = service.control
    with pytest.raises(RequestRefused, match="revision 1 is the default one: promote or switch"):
        control.release(1)
    with pytest.raises(RequestRefused, match="revision 3 is not hosted, only 1, 2"):
        control.release(3)
    with pytest.raises(RequestRefused, match="revision 1 is the default one already"):
        control.promote(1)
    with pytest.raises(RequestRefused, match="revision 3 is not hosted"):
        control.promote(3)
    for verb in (control.host, control.switch):
        with pytest.raises(SwitchFailed, match="revision 2 is hosted already: promote it, or release it first"):
            verb(service.settings.others[0])
        with pytest.raises(SwitchFailed, match="revision 1 is the one that runs"):
            verb(service.settings.revision)
    for traffic in (
        Traffic(weights={3: 1}),
        Traffic(weights={2: 101}),
        Traffic(weights={2: float("nan")}),
        Traffic(weights={2: float("inf")}),
        Traffic(sticky_header="a b"),
        Traffic(shadow=2, weights={2: 1}),
    ):
        with pytest.raises(RequestRefused, match=r"traffic"):
            control.split(traffic)
    assert (service.settings, service.status.revisions) == before


def test_six_revisions_are_the_most(services: Services) -> None:
    service = services.make(answering("1"))
    others = [service.revision(number, answering(str(number))) for number in range(2, 7)]
    write_settings(service.folder, msgspec.structs.replace(service.settings, others=others))
    service.start()
    wait_until(lambda: all(r.state is ServiceState.RUNNING for r in service.status.revisions), what="all six run")
    seventh = service.revision(7, answering("7"))
    with pytest.raises(RequestRefused, match="hosts 6 revisions at most, not 7"):
        service.control.host(seventh)
    service.control.split(Traffic(weights=dict.fromkeys(range(1, 7), 100 / 6)))
    assert set(asked(service, 300)) == set("123456")
    service.control.switch(seventh)
    assert [r.revision for r in service.status.revisions] == [7, 2, 3, 4, 5, 6]


def test_one_at_a_time_but_a_share_can_be_taken_away_meanwhile(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(weights={2: 100}))
    impatient = ControlClient(service.folder)
    with pytest.raises(ServiceNotRunning, match="timed out"):
        impatient.host(service.revision(3, answering("3", before="time.sleep(1)")), patience_s=0.2)
    assert service.status.switching
    for verb in (
        lambda: service.control.switch(service.revision(4, answering("4"))),
        lambda: service.control.host(service.settings.others[0]),
        lambda: service.control.promote(2),
        lambda: service.control.release(2),
    ):
        with pytest.raises(SwitchInProgress):
            verb()
    service.control.split(Traffic())
    assert asked(service, 20) == {"1": 20}
    wait_until(lambda: not service.status.switching, what="hosted, though its client has gone")
    assert [(r.number) for r in service.settings.others] == [2, 3]
    assert state_of(service, 3).state is ServiceState.RUNNING


def test_a_number_can_be_used_again_while_its_last_bearer_ends(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2", inside="time.sleep(1)"))
    service.control.split(Traffic(weights={2: 100}))
    revision = service.settings.others[0]
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: state_of(service, 2).requests_in_flight == 1, what="held")
        released = pool.submit(service.control.release, 2)
        wait_until(lambda: len(service.status.revisions) == 1, what="released")
        service.control.host(revision)
        assert held.result().json == "2"
        released.result()
    assert (service.folder / "work" / "2" / "app").is_dir()
    service.control.split(Traffic(weights={2: 100}))
    assert service.score("x").json == "2"


def test_a_client_that_leaves_the_queue_of_a_hosted_revision(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2", inside="time.sleep(1)"))
    service.control.split(Traffic(weights={2: 100}))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: state_of(service, 2).requests_in_flight == 1, what="held")
        with service.raw_connection() as channel:
            channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            wait_until(lambda: state_of(service, 2).requests_waiting == 1, what="waiting")
        wait_until(lambda: state_of(service, 2).requests_waiting == 0, what="forgotten")
        assert held.result().json == "2"
    status = service.status
    assert [(r.requests_in_flight, r.requests_waiting) for r in status.revisions] == [(0, 0), (0, 0)]


def test_a_split_that_cannot_be_written_down_is_none(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"))
    # A folder in the place of the file: renaming onto it fails for root too, where a mode would not.
    (service.folder / "service.json").rename(service.folder / "kept")
    (service.folder / "service.json" / "in the way").mkdir(parents=True)
    control = service.control
    with pytest.raises(RequestRefused, match=r"service\.json could not be written"):
        control.split(Traffic(weights={2: 100}))
    with pytest.raises(RequestRefused, match=r"service\.json could not be written"):
        control.promote(2)
    with pytest.raises(RequestRefused, match=r"service\.json could not be written"):
        control.release(2)
    (service.folder / "service.json" / "in the way").rmdir()
    (service.folder / "service.json").rmdir()
    (service.folder / "kept").rename(service.folder / "service.json")
    assert asked(service, 20) == {"1": 20}
    assert [r.revision for r in service.status.revisions] == [1, 2]

"""Settings that change while requests come, and that no request notices."""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from modelport_scoring import (
    Autoscale,
    Batching,
    Changes,
    ControlClient,
    Limits,
    RequestRefused,
    ServiceNotRunning,
    ServiceState,
    SwitchFailed,
    SwitchInProgress,
    TelemetrySettings,
    Traffic,
    WorkerStart,
)
from modelport_scoring.settings.telemetry import LogFormat
from otlp_collector import Collector
from scoring_services import Gate, RunningService, Services, load, wait_until
from split_services import answering, state_of, workers

JSON = {"Content-Type": "application/json", "Origin": "https://example.org"}
ROWS = '{"data": [[1.0, 2.0]]}'

TOTALS = """
import os
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

calls = []

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
def run(data):
    calls.append(len(data))
    if data[0, 0] == -1.0:
        return [[os.getpid(), os.getppid(), len(calls), max(calls)]]
    return data.sum(axis=1).tolist()
"""
"""Adds up each row; asked for -1.0 it tells of its process, how often run() was called, and for how many rows."""

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {**JSON, "traceparent": f"00-{TRACE}-{SPAN}-01"}

ASKED = '{"data": [[-1.0, 0.0]]}'


@pytest.fixture(scope="module")
def totals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("totals"))
    yield made.start(TOTALS)
    made.end()


def told(service: RunningService) -> list[int]:
    """Process and parent of a worker, its calls of run() and the rows of the largest."""
    answer: list[list[int]] = service.score(ASKED, headers=JSON).json
    return answer[0]


def changed(service: RunningService, **changes: Any) -> Counter[Any]:
    """Change the settings under load; returns the answers, those from half-way on being by the new settings."""
    before = service.status
    with load(service, clients=6, body=ROWS, headers=JSON) as seen:
        service.control.configure(**changes)
        total = seen.total()
        wait_until(lambda: seen.total() > total + 200, what="it goes on")
    after = service.status
    assert (after.pid, after.started_at) == (before.pid, before.started_at), "the server was restarted"
    assert set(seen) == {(200, b"[3.0]")}
    for name, value in changes.items():
        assert getattr(service.settings, name) == value
    return seen


def test_batching_is_switched_on_and_off(totals: RunningService) -> None:
    before = workers(totals, 1)
    changed(totals, batching=Batching(max_requests=8))
    assert set(before).isdisjoint(workers(totals, 1)), "other workers have taken over"
    assert told(totals)[3] > 1, "requests are scored together"
    changed(totals, batching=None)
    assert told(totals)[3] == 1


def test_warm_up(totals: RunningService) -> None:
    changed(totals, warm_up=True)
    totals.control.configure(worker_start=WorkerStart.FORK)
    assert told(totals)[2:] == [2, 1], "run() was called once before"
    totals.control.configure(worker_start=WorkerStart.SPAWN)
    changed(totals, warm_up=False)


def test_worker_start(totals: RunningService) -> None:
    server = totals.status.pid
    assert told(totals)[1] == server
    changed(totals, worker_start=WorkerStart.FORK)
    assert told(totals)[1] != server, "its parent is the template"
    changed(totals, worker_start=WorkerStart.SPAWN)
    assert told(totals)[1] == server


def test_workers_and_autoscaling(totals: RunningService) -> None:
    changed(totals, workers=2)
    changed(totals, autoscale=Autoscale(min_workers=3), workers=1)
    wait_until(lambda: len(workers(totals, 1)) >= 3, what="three workers")
    with load(totals, body=ROWS, headers=JSON) as seen:
        wanted = totals.status.workers_wanted
        totals.control.configure(warm_up=True)
        assert totals.status.workers_wanted >= wanted, "those that take over are as many as the load needs"
        totals.control.configure(warm_up=False)
    assert set(seen) == {(200, b"[3.0]")}
    changed(totals, autoscale=None)
    wait_until(lambda: len(workers(totals, 1)) == 1, what="one worker")


def test_origins_are_allowed_and_allowed_no_more(totals: RunningService) -> None:
    def allowed() -> str | None:
        return totals.score(ROWS, headers=JSON).headers.get("access-control-allow-origin")

    assert allowed() is None
    changed(totals, cors_origins=["https://example.org"])
    assert allowed() == "https://example.org"
    changed(totals, cors_origins=[])
    assert allowed() is None


def test_metrics_and_logs_are_switched_on_and_off(totals: RunningService) -> None:
    log = totals.folder / "logs" / "access.log"
    changed(totals, telemetry=TelemetrySettings(metrics=False))
    assert totals.ask("GET", "/metrics").status == 404
    changed(totals, telemetry=TelemetrySettings(access_log=True))
    wait_until(lambda: " modelport.access - POST /score 200 " in text_of(log), what="lines")
    telemetry = TelemetrySettings(access_log=True, access_log_format=LogFormat.JSON, log_format=LogFormat.JSON)
    changed(totals, telemetry=telemetry)
    wait_until(lambda: json_of(log).get("path") == "/score", what="lines in JSON")
    assert totals.score(ROWS, headers=TRACED).status == 200
    wait_until(lambda: json_of(log).get("trace_id") == TRACE, what="the line of a traced request")
    assert json_of(log)["span_id"] == SPAN, "the client's: none is made here"
    with pytest.raises(SwitchFailed):
        totals.control.switch(totals.revision(2, "def init(: pass"))
    assert json_of(totals.folder / "logs" / "supervisor.log")["message"].startswith("the switch to revision 2 failed")
    changed(totals, telemetry=TelemetrySettings())
    assert totals.ask("GET", "/metrics").status == 200


def test_tracing_is_switched_on(totals: RunningService) -> None:
    log = totals.folder / "logs" / "access.log"
    logging = TelemetrySettings(access_log=True, access_log_format=LogFormat.JSON)
    with Collector() as collector:
        telemetry = msgspec.structs.replace(logging, tracing=True, otlp_endpoint=collector.endpoint)
        changed(totals, telemetry=telemetry)
        wait_until(lambda: len(collector.spans) > 50, what="spans")
        assert totals.score(ROWS, headers=TRACED).status == 200
        wait_until(lambda: json_of(log).get("trace_id") == TRACE, what="the line of a traced request")
        own = json_of(log)["span_id"]
        wait_until(lambda: SPAN in {each.parent_span_id.hex() for each in collector.spans}, what="its spans")
        assert [each.span_id.hex() for each in collector.spans if each.parent_span_id.hex() == SPAN] == [own]
        changed(totals, telemetry=TelemetrySettings())


def text_of(log: Path) -> str:
    return log.read_text() if log.exists() else ""


def json_of(log: Path) -> dict[str, Any]:
    """The last line, where it is an object."""
    last = text_of(log).rstrip().rpartition("\n")[2]
    return json.loads(last) if last.startswith("{") else {}


# --- all or nothing ---------------------------------------------------------------------------------------------------


def test_tracing_is_in_force_with_the_rest_where_the_system_has_no_thread_for_it(services: Services) -> None:
    service = services.start()
    pid = service.status.pid
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    with Collector() as collector:
        telemetry = TelemetrySettings(tracing=True, otlp_endpoint=collector.endpoint)
        room = psutil.Process(pid).memory_info().vms + 4 * 1024 * 1024  # a thread's stack has 8 MiB
        resource.prlimit(pid, resource.RLIMIT_AS, (room, before[1]))
        service.control.configure(telemetry=telemetry, limits=Limits(max_body_bytes=100))
        assert service.score("x" * 101).status == 413
        assert service.score("x").status == 200
        assert "spans cannot be exported for now: can't start new thread; it is tried again" in service.supervisor_log
        resource.prlimit(pid, resource.RLIMIT_AS, before)
        wait_until(lambda: len(collector.spans) == 2, what="the spans that have waited")


def test_what_the_script_does_not_suit_changes_nothing(services: Services) -> None:
    service = services.start(answering("1"))
    before = (service.settings, service.status.workers)
    with load(service) as seen:
        with pytest.raises(SwitchFailed, match="batching") as raised:
            service.control.configure(batching=Batching(), limits=Limits(max_queue_length=7))
        total = seen.total()
        wait_until(lambda: seen.total() > total + 50, what="it goes on")
    assert raised.value.failure.phase == "import"
    assert (service.settings, service.status.workers) == before
    assert set(seen) == {(200, b'"1"')}
    assert [path.name for path in (service.folder / "work").iterdir()] == ["1"]
    assert (service.folder / "work" / "1" / "app").is_dir()
    with pytest.raises(RequestRefused, match=r"batching\.max_requests"):
        service.control.configure(batching=Batching(max_requests=1))


def test_all_revisions_get_others_or_none_does(services: Services) -> None:
    service = services.start(TOTALS)
    service.control.host(service.revision(2, TOTALS))
    service.control.host(service.revision(3, answering("3")))
    before = [workers(service, number) for number in (1, 2, 3)]
    with pytest.raises(SwitchFailed, match="batching"):
        service.control.configure(batching=Batching())
    assert [workers(service, number) for number in (1, 2, 3)] == before
    service.control.release(3)
    service.control.split(Traffic(weights={2: 50}))
    with load(service, body=ROWS, headers=JSON) as seen:
        service.control.configure(batching=Batching())
    assert set(seen) == {(200, b"[3.0]")}
    after = [workers(service, number) for number in (1, 2)]
    assert not {pid for pids in before for pid in pids} & {pid for pids in after for pid in pids}
    wait_until(lambda: sorted(p.name for p in (service.folder / "work").iterdir()) == ["1", "2"], what="their folders")


def test_settings_come_with_a_revision_or_not_at_all(services: Services) -> None:
    """The old script could not be batched, the new one can."""
    service = services.start(answering("1"))
    changes = Changes(batching=Batching(), limits=Limits(max_queue_length=7))
    with load(service, body=ROWS, headers=JSON) as seen:
        with pytest.raises(SwitchFailed):
            service.control.switch(service.revision(2, "def init(: pass"), changes=changes)
        assert (service.settings.batching, service.settings.limits) == (None, Limits())
        service.control.switch(service.revision(3, TOTALS), changes=changes)
        wait_until(lambda: seen[200, b"[3.0]"] > 100, what="the new one answers")
    assert set(seen) == {(200, b'"1"'), (200, b"[3.0]")}
    settings = service.settings
    assert (settings.revision.number, settings.batching, settings.limits.max_queue_length) == (3, Batching(), 7)


def test_what_may_change_while_workers_are_replaced(services: Services, gate: Gate, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    slow = f"import os, time\ndef init():\n  if os.path.exists('{mark}'):\n    {gate.wait}\ndef run(x): return x\n"
    service = services.start(slow)
    mark.touch()
    impatient = ControlClient(service.folder)
    with pytest.raises(ServiceNotRunning, match="timed out"):
        impatient.configure(worker_start=WorkerStart.FORK, patience_s=0.2)
    assert service.status.switching
    with pytest.raises(SwitchInProgress):
        service.control.configure(worker_start=WorkerStart.FORK)
    service.control.configure(workers=2, limits=Limits(max_queue_length=7))
    assert service.settings.worker_start is WorkerStart.SPAWN
    gate.open()
    wait_until(lambda: not service.status.switching, what="the others are there")
    settings = service.settings
    assert (settings.worker_start, settings.workers, settings.limits.max_queue_length) == (WorkerStart.FORK, 2, 7)
    wait_until(lambda: [worker.state for worker in service.status.workers] == ["ready", "ready"], what="two")
    assert service.score("x").status == 200


def test_a_service_that_failed_is_healed_by_settings(services: Services) -> None:
    service = services.start(answering("1"), batching={}, until=ServiceState.FAILED)
    with pytest.raises(SwitchFailed):
        service.control.configure(warm_up=True)
    service.control.configure(batching=None)
    assert (service.status.state, service.status.failure) == (ServiceState.RUNNING, None)
    assert service.score("x").json == "1"


def test_one_beside_it_that_failed_comes_back_with_the_workers_that_are_wanted_by_then(
    services: Services, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    service = services.start(answering("1"))
    service.control.host(service.revision(2, answering("2", before=f"assert not os.path.exists('{mark}')")))
    service.end()
    mark.touch()
    service.start()
    wait_until(lambda: state_of(service, 2).state is ServiceState.FAILED, what="it failed")
    service.control.configure(worker_start=WorkerStart.FORK)
    wait_until(lambda: state_of(service, 2).state is ServiceState.FAILED, what="it is tried with others, and failed")
    assert service.score("x").json == "1"
    mark.unlink()
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="it is there")
    (worker,) = workers(service, 2)
    assert psutil.Process(worker).ppid() != service.status.pid, "its parent is the template"
    starts = (service.folder / "logs" / "2.log").read_text().count("revision 2 starts")
    service.control.configure(worker_start=WorkerStart.FORK)
    assert (workers(service, 2), starts) == ([worker], 2), "it is what is wanted, and was not made anew"


HIDDEN = """
import os, pathlib

is_file = pathlib.Path.is_file
pathlib.Path.is_file = lambda path, **how: is_file(path, **how) and not (
    path.name == "_modelport.py" and os.path.exists({mark!r})
)
"""


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While that file is there, services that are started from now on find no ``azureml`` for their workers: as while
    the package is replaced by a later version."""
    mark = tmp_path / "hidden"
    (tmp_path / "sitecustomize.py").write_text(HIDDEN.format(mark=str(mark)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return mark


def test_other_workers_that_cannot_be_had_are_a_failed_change(services: Services, hidden: Path) -> None:
    service = services.start(answering("1"), server_processes=2, workers=2)
    hidden.touch()
    with pytest.raises(SwitchFailed, match="is modelport-azureml installed"):
        service.control.configure(worker_start=WorkerStart.FORK)
    assert "the change of the workers failed: no azureml folder" in service.supervisor_log
    hidden.unlink()
    service.control.configure(worker_start=WorkerStart.FORK)
    assert service.settings.worker_start is WorkerStart.FORK


def test_the_log_tells_why_a_late_revision_does_not_get_the_workers_that_are_wanted(
    services: Services, hidden: Path, gate: Gate, tmp_path: Path
) -> None:
    mark, begun = tmp_path / "mark", tmp_path / "begun"
    slow = f"if os.path.exists('{mark}'):\n        open('{begun}', 'a').close()\n        {gate.wait}"
    service = services.start(answering("1"))
    service.control.host(service.revision(2, answering("2", before=f"assert not os.path.exists('{mark}')")))
    service.control.switch(service.revision(3, answering("3", before=slow)))
    service.end()
    gate.open()
    mark.touch()
    service.start()
    wait_until(lambda: state_of(service, 2).state is ServiceState.FAILED, what="it failed")
    begun.unlink()
    gate.path.unlink()
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(service.control.configure, worker_start=WorkerStart.FORK)
        wait_until(begun.exists, what="the default one's workers are on their way")
        hidden.touch()
        gate.open()
        change.result()
    assert "revision 2 is tried with workers as before, not others: no azureml folder" in service.supervisor_log
    hidden.unlink()
    mark.unlink()
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="it is there")
    (worker,) = workers(service, 2)
    assert psutil.Process(worker).ppid() == service.status.pid, "it was spawned, as before"


def test_who_asked_for_a_revision_gets_it_from_its_new_workers(services: Services, gate: Gate) -> None:
    service = services.start(answering("1"))
    service.control.host(service.revision(2, answering("2", inside=gate.wait)))
    service.control.split(Traffic(version_header="x-version"))
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(service.score, "x", headers={"x-version": "2"}) for _ in range(3)]
        wait_until(lambda: state_of(service, 2).requests_waiting == 2, what="one is held, two wait")
        service.control.configure(worker_start=WorkerStart.FORK)
        gate.open()
        assert [(each.result().status, each.result().json) for each in asked] == [(200, "2")] * 3


def test_a_revision_is_scaled_by_itself(services: Services) -> None:
    service = services.start(answering("1"))
    service.control.host(service.revision(2, answering("2")))
    with load(service) as seen:
        service.control.scale(2, workers=2)
        service.control.scale(1, autoscale=Autoscale(min_workers=2))
        wait_until(lambda: len(workers(service, 1)) >= 2 and len(workers(service, 2)) == 2, what="two of each")
        service.control.scale(1)
        service.control.scale(2)
        wait_until(lambda: len(workers(service, 1)) == len(workers(service, 2)) == 1, what="one of each")
    assert set(seen) == {(200, b'"1"')}
    with pytest.raises(RequestRefused, match="revision 3 is not hosted"):
        service.control.scale(3, workers=2)
    with pytest.raises(RequestRefused, match="revision 2: workers must be at least 1"):
        service.control.scale(2, workers=0)

"""Several revisions under load, while they are changed and while they die."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from modelport_scoring import (
    RequestRefused,
    ServiceNotRunning,
    ServiceState,
    Traffic,
)
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import Gate, Services, load, wait_until
from split_services import answering, asked, asked_once, hosting, state_of, workers


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
    metrics = service.ask("GET", "/metrics").body.decode()
    assert 'modelport_worker_restarts_total{revision="1"} 0.0\n' in metrics
    assert 'modelport_worker_restarts_total{revision="2"} 3.0\n' in metrics


def test_while_a_revision_has_no_worker_its_share_goes_to_the_default(services: Services, tmp_path: Path) -> None:
    dies = "import os, pathlib\ndef init():\n    if pathlib.Path('{0}').exists(): os._exit(1)\ndef run(x): return '2'\n"
    mark = tmp_path / "mark"
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
    default, other = service.settings.revision, service.settings.others[0]
    with pytest.raises(RequestRefused, match="revision 2 has no worker that takes requests: unhealthy"):
        service.control.apply(msgspec.structs.replace(service.settings, revision=other, others=[default]))
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
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.message.endswith("for the revision of service demo that was asked for: it failed to start")
    service.control.release(2)
    service.control.release(3)
    assert asked_once(service) == "1"


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


def test_what_a_released_revision_leaves_is_told_at_once_that_the_default_one_has_failed(
    services: Services, gate: Gate
) -> None:
    fails = "def init(): raise OSError('gone')\ndef run(x): pass\n"
    service = services.start(fails, until=ServiceState.FAILED, limits={"drain_timeout_s": 0.1})
    service.control.host(service.revision(2, answering("2", inside=gate.wait)))
    service.control.split(Traffic(weights={2: 100}))
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(service.score, "x") for _ in range(2)]
        wait_until(lambda: state_of(service, 2).requests_waiting == 1, what="one is held, and one waits")
        service.control.release(2)
        answers = sorted((each.result() for each in asking), key=lambda answer: answer.status)
    assert [answer.status for answer in answers] == [502, 503]
    assert "the entry script failed to start" in answers[1].message

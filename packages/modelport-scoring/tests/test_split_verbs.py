"""Revisions that come and go: what is asked of the control socket, and what it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from modelport_scoring import (
    ControlClient,
    RequestRefused,
    ServiceNotRunning,
    ServiceState,
    SwitchFailed,
    SwitchInProgress,
    Traffic,
    write_settings,
)
from scoring_services import Gate, Services, load, wait_until
from split_services import answering, asked, hosting, state_of


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


def test_one_at_a_time_but_a_share_can_be_taken_away_meanwhile(services: Services, gate: Gate) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(weights={2: 100}))
    impatient = ControlClient(service.folder)
    with pytest.raises(ServiceNotRunning, match="timed out"):
        impatient.host(service.revision(3, answering("3", before=gate.wait)), patience_s=0.2)
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
    gate.open()
    wait_until(lambda: not service.status.switching, what="hosted, though its client has gone")
    assert [(r.number) for r in service.settings.others] == [2, 3]
    assert state_of(service, 3).state is ServiceState.RUNNING


def test_a_number_can_be_used_again_while_its_last_bearer_ends(services: Services, gate: Gate) -> None:
    service = hosting(services, answering("1"), answering("2", inside=gate.wait))
    service.control.split(Traffic(weights={2: 100}))
    revision = service.settings.others[0]
    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: state_of(service, 2).requests_in_flight == 1, what="held")
        released = pool.submit(service.control.release, 2)
        wait_until(lambda: len(service.status.revisions) == 1, what="released")
        hosted = pool.submit(service.control.host, revision)
        wait_until(lambda: service.status.switching, what="it is being hosted, and waits for its folder")
        gate.open()
        assert held.result().json == "2"
        released.result()
        hosted.result()
    assert (service.folder / "work" / "2" / "app").is_dir()
    service.control.split(Traffic(weights={2: 100}))
    assert service.score("x").json == "2"


def test_a_client_that_leaves_the_queue_of_a_hosted_revision(services: Services, gate: Gate) -> None:
    service = hosting(services, answering("1"), answering("2", inside=gate.wait))
    service.control.split(Traffic(weights={2: 100}))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: state_of(service, 2).requests_in_flight == 1, what="held")
        with service.raw_connection() as channel:
            channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            wait_until(lambda: state_of(service, 2).requests_waiting == 1, what="waiting")
        wait_until(lambda: state_of(service, 2).requests_waiting == 0, what="forgotten")
        gate.open()
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


def test_a_hosted_revision_is_replaced_with_its_share(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), answering("3"), traffic=Traffic(weights={2: 100}))
    with load(service) as seen:
        service.control.switch(service.revision(4, answering("4")), replacing=2)
        wait_until(lambda: seen[200, b'"4"'] > 50, what="the new one has its share")
    assert set(seen) == {(200, b'"2"'), (200, b'"4"')}
    assert [revision.revision for revision in service.status.revisions] == [1, 4, 3]
    assert service.settings.traffic == Traffic(weights={4: 100})
    with pytest.raises(RequestRefused, match="revision 9 is not hosted"):
        service.control.switch(service.revision(5, answering("5")), replacing=9)
    service.control.switch(service.revision(6, answering("6")), replacing=1)
    assert [revision.revision for revision in service.status.revisions] == [6, 4, 3]


def test_what_waits_for_a_replaced_revision_waits_for_the_new_one(services: Services, gate: Gate) -> None:
    service = hosting(services, answering("1"), answering("2", inside=gate.wait))
    service.control.split(Traffic(weights={2: 100}))
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(service.score, "x") for _ in range(3)]
        wait_until(lambda: state_of(service, 2).requests_waiting == 2, what="one is held, two wait")
        service.control.switch(service.revision(4, answering("4")), replacing=2)
        gate.open()
        assert sorted(each.result().json for each in asking) == ["2", "4", "4"]


def test_what_waits_for_the_default_revision_goes_to_the_one_that_is_promoted(services: Services, gate: Gate) -> None:
    traffic = Traffic(weights={1: 100})
    service = hosting(services, answering("1", inside=gate.wait), answering("2"), traffic=traffic)
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(service.score, "x") for _ in range(3)]
        wait_until(lambda: service.status.requests_waiting == 2, what="one is held, two wait")
        service.control.promote(2)
        assert [(each.revision, each.percent) for each in service.status.revisions] == [(2, 100), (1, 0)]
        wait_until(lambda: sum(each.done() for each in asking) == 2, what="the two have their answers")
        gate.open()
        assert sorted(each.result().json for each in asking) == ["1", "2", "2"]


def test_a_refusal_names_the_limit_of_the_revision(services: Services, gate: Gate) -> None:
    service = services.start(answering("1"), limits={"drain_timeout_s": 0.1})
    script = f"import os, time\ndef init(): pass\ndef run(data):\n    {gate.wait}\n"
    service.control.switch(service.revision(2, script, limits={"queue_wait_ms": 50, "max_queue_length": 3}))
    with service.raw_connection() as holding:
        holding.sendall(b"POST /score HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        answer = service.score("x")
        assert answer.status == 503
        assert "limits.queue_wait_ms is 50." in answer.message
        metrics = service.ask("GET", "/metrics").body
    assert b'modelport_requests_total{revision="2",status="503"} 1.0' in metrics


def test_a_revision_has_limits_of_its_own(services: Services) -> None:
    service = services.start(answering("1", inside="time.sleep(0.2)"), limits={"drain_timeout_s": 0.1})
    own = service.revision(2, answering("2", inside="time.sleep(600)"), limits={"scoring_timeout_ms": 50})
    service.control.host(own)
    assert service.score("x").status == 200
    service.control.split(Traffic(weights={2: 100}))
    assert service.score("x").status == 504
    slow = service.revision(3, answering("3", before="time.sleep(600)"), limits={"start_timeout_s": 0.1})
    with pytest.raises(SwitchFailed, match="start_timeout_s"):
        service.control.host(slow)
    for limits, named in (({"nope": 1.0}, "nope"), ({"queue_wait_ms": 0.0}, r"limits\.queue_wait_ms")):
        with pytest.raises(RequestRefused, match=rf"revision 3: .*{named}"):
            service.control.host(msgspec.structs.replace(own, number=3, limits=limits))

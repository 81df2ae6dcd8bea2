"""Several server processes on one socket: verbs in all of them or in none, and each on its own when it dies."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import parser

import modelport_scoring
from few_descriptors import room_for
from modelport_scoring import (
    AuthSettings,
    Autoscale,
    ControlClient,
    Limits,
    RequestRefused,
    RevisionSettings,
    ServiceNotRunning,
    ServiceSettings,
    ServiceState,
    Status,
    SwitchFailed,
    Traffic,
    WorkerStart,
    read_failure,
)
from modelport_scoring.control import peers as peers_of
from modelport_scoring.control.lines import LineSocket
from modelport_scoring.control.peers import Peer, Peers, end_listener
from modelport_scoring.service_folder import peer_socket
from modelport_scoring.supervision.service_lock import is_alive
from modelport_scoring.workers.process import parent_of
from scoring_services import PATIENCE_S, Gate, RunningService, Services, ask, session_members, wait_until

WHO = """
import os, time
def init(): pass
def run(x):
    if x == "held":
        WAIT
    return [REVISION, os.getsid(0), os.getpid()]
"""
"""Tells the revision, the server process, whose session it is, and the worker process."""


def who(revision: int, *, before: str = "pass", gate: Gate | None = None) -> str:
    script = WHO.replace("REVISION", str(revision)).replace("def init(): pass", f"def init():\n    {before}")
    return script.replace("WAIT", "pass" if gate is None else gate.wait)


@pytest.fixture
def pair(services: Services) -> Iterator[RunningService]:
    service = start(services)
    yield service
    end(service)


def start(services: Services, *, processes: int = 2, workers: int = 2, script: str = "", **more: Any) -> RunningService:
    service = services.start(script or who(1), server_processes=processes, workers=workers, **more)
    wait_until(lambda: is_whole(service, workers), what="all servers serve")
    return service


def is_whole(service: RunningService, workers: int) -> bool:
    status = status_of(service)
    if status is None or status.state is not ServiceState.RUNNING:
        return False
    ready = [worker for worker in status.workers if worker.state == "ready"]
    return all(server.state is ServiceState.RUNNING for server in status.servers) and len(ready) == workers


def status_of(service: RunningService) -> Status | None:
    try:
        return service.status
    except ServiceNotRunning:
        return None


def end(service: RunningService) -> None:
    """Afterwards no process of the service is left, though each server leads a session."""
    assert service.process is not None
    status = status_of(service)
    sessions = [service.process.pid, *(server.pid for server in status.servers if server.pid)] if status else []
    service.end()
    assert [pid for session in sessions for pid in session_members(session)] == []


def pids(service: RunningService) -> list[int]:
    """The server processes."""
    return [server.pid for server in service.status.servers if server.pid is not None]


def asked(service: RunningService, *, until_servers: int = 2, times: int = 1) -> list[list[Any]]:
    """What new connections are told, until so many servers have answered so often."""
    answers: list[list[Any]] = []

    def is_enough() -> bool:
        answers.append(service.score("x").json)
        seen = Counter(server for _, server, _ in answers)
        return len(seen) >= until_servers and min(seen.values()) >= times

    wait_until(is_enough, what="answers of all servers")
    return answers


def values(service: RunningService, name: str) -> dict[str, float]:
    """A metric's values, by the last of its labels."""
    text = service.ask("GET", "/metrics").body.decode()
    return {
        next(reversed(sample.labels.values()), ""): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@contextmanager
def clients(service: RunningService, *, count: int = 8) -> Iterator[dict[int, Counter[Any]]]:
    """Clients that ask on connections they keep; what each server answered, and 0 for what was cut off.

    A connection belongs to one server, whichever takes it: before the block begins, clients open others until each
    server has its share of them. A client whose connection ends then opens another one, as clients do.
    """
    seen: dict[int, Counter[Any]] = {}
    servers, settled = pids(service), set[int]()
    lock, stop = threading.Lock(), threading.Event()

    def note(server: int, what: Any) -> None:
        with lock:
            seen.setdefault(server, Counter())[what] += 1

    def client(number: int) -> None:
        connection = service.connect()
        while not stop.is_set():
            try:
                answer = ask(connection, "POST", "/score", body="x")
            except OSError as error:
                note(0, type(error).__name__)
                connection.close()
                continue
            revision, server = (answer.json[0], answer.json[1]) if answer.status == 200 else (answer.body, 0)
            note(server, (answer.status, revision))
            if server == servers[number % len(servers)]:
                settled.add(number)
            elif number not in settled:
                connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(settled) == count, what="each server has clients")
        wait_until(lambda: sum(counter.total() for counter in list(seen.values())) > 200, what="load")
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- what they share --------------------------------------------------------------------------------------------------


def test_they_share_the_socket_the_workers_and_the_limits(services: Services, gate: Gate) -> None:
    service = start(services, script=who(1, gate=gate), workers=3, limits={"max_queue_length": 5})
    status = service.status
    assert [server.process for server in status.servers] == [0, 1]
    assert (status.pid, status.workers_wanted, len(status.workers)) == (status.servers[0].pid, 3, 3)
    sessions = [os.getsid(worker.pid) for worker in status.workers if worker.pid is not None]
    first, second = pids(service)
    assert Counter(sessions) == {first: 2, second: 1}
    assert sorted(path.name for path in (service.folder / "work").iterdir()) == ["1", "1.1"]
    assert len(values(service, "process_resident_memory_bytes")) == 2
    with ThreadPoolExecutor(40) as pool:
        sent = [pool.submit(service.score, "held") for _ in range(40)]
        wait_until(lambda: sum(each.done() for each in sent) == 40 - 5 - 3, what="all but those who may wait")
        gate.open()
        answers = [each.result() for each in sent]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) == 40 - 5 - 3, "five wait in all, and each of three workers has one"
    assert '"max_queue_length"' in refused[0].message
    asked(service, times=20)
    end(service)


def test_what_cannot_be_divided_is_refused(services: Services) -> None:
    for more, named in (
        ({"server_processes": 2}, "workers .for revision 1. must be at least server_processes, which is 2, not 1"),
        ({"server_processes": 0}, "server_processes must be between 1 and 32"),
        ({"server_processes": 2, "workers": 2, "limits": {"max_concurrent_requests": 1}}, "max_concurrent_requests"),
        ({"server_processes": 2, "autoscale": {"min_workers": 1}}, "workers .for revision 1. must be at least"),
    ):
        service = services.make(**more)
        service.start(until=None)
        assert service.process is not None
        assert service.process.wait(20) == 1
        failure = read_failure(service.folder)
        assert failure is not None
        assert re.search(named, failure.message), failure


def test_metrics_are_those_of_all(pair: RunningService) -> None:
    answers = asked(pair, times=30)
    total = len(answers)
    wait_until(lambda: values(pair, "modelport_requests_total") == {"200": total}, what="published")
    assert values(pair, "modelport_workers_ready") == {"": 2}
    assert values(pair, "modelport_workers_wanted") == {"": 2}
    wait_until(lambda: values(pair, "modelport_request_duration_seconds_count") == {"1": total}, what="published")
    os.kill(pids(pair)[1], signal.SIGKILL)
    wait_until(lambda: is_whole(pair, 2), what="it is back")
    assert values(pair, "modelport_requests_total") == {"200": total}, "no counter goes backwards"


def test_all_of_them_speak_tls(services: Services, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "tls.key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    files = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    service = start(services, tls=files)
    port = service.settings.port
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 400 "), "without TLS, there is no other answer"
    bursts = [of_a_burst(port, context, pids(service)) for _ in range(3)]
    assert max(map(min, bursts)) >= 6, f"each has its part of clients that come at once: {bursts}"
    end(service)
    assert "Traceback" not in service.supervisor_log


def of_a_burst(port: int, context: ssl.SSLContext, servers: list[int]) -> list[int]:
    """How many each server has of sixteen clients who have all connected before any of them speaks TLS."""
    plain = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(16)]
    clients = []
    for channel in plain:  # all of them before any is answered: a server waits ten seconds for them
        client = http.client.HTTPSConnection("localhost", port)
        client.sock = context.wrap_socket(channel, server_hostname="localhost")
        clients.append(client)
    seen = Counter(ask(client, "POST", "/score", body="x").json[1] for client in clients)
    for client in clients:
        client.close()
    return [seen[server] for server in servers]


# --- one of them does not come up, or dies ----------------------------------------------------------------------------


def test_one_that_does_not_come_up_leaves_clients_to_the_other_and_is_tried_until_it_does(
    services: Services, tmp_path: Path
) -> None:
    first, failed, enough = tmp_path / "first", tmp_path / "failed", tmp_path / "enough"
    before = f"""
    try: os.mkdir({str(first)!r})
    except FileExistsError:
        if not os.path.exists({str(enough)!r}):
            os.makedirs({str(failed)!r}, exist_ok=True)
            raise MemoryError("only one has room")
    else:
        while not os.path.exists({str(failed)!r}): time.sleep(0.01)  # or the other one, if it is late, is tried again
"""
    service = services.start(who(1, before=before), server_processes=2, workers=2)
    log = service.folder / "logs" / "supervisor.log"
    wait_until(lambda: "revision 1 did not start here, but another one has it" in log.read_text(), what="it is seen")
    wait_until(lambda: {service.score("x").status for _ in range(30)} == {200}, what="the other one has the clients")
    enough.touch()
    wait_until(lambda: is_whole(service, 2), what="both serve")
    asked(service)
    end(service)


@pytest.mark.parametrize("which", [0, 1])
def test_one_dies_and_the_other_goes_on(pair: RunningService, which: int) -> None:
    before = pair.status
    victim, other = pids(pair)[which], pids(pair)[1 - which]
    workers = {server: {answer[2] for answer in asked(pair, times=5) if answer[1] == server} for server in pids(pair)}
    with clients(pair) as seen:
        wait_until(lambda: {victim, other} <= set(seen), what="both have clients")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: is_whole(pair, 2), what="it is back")
        asked(pair, times=3)
    cut = seen.pop(0, Counter())
    assert sum(cut.values()) <= 8, "each client of the dead one lost its connection once"
    assert not [key for key in cut if isinstance(key, tuple)], cut
    assert {key for counter in seen.values() for key in counter} == {(200, 1)}
    after = pair.status
    assert after.supervisor_pid == before.supervisor_pid
    assert other in pids(pair) and victim not in pids(pair)
    assert workers[other] <= {worker.pid for worker in after.workers}, "its workers were not touched"
    assert not any(is_alive(pid) for pid in workers[victim]), "those of the dead one have ended"
    assert f"scoring server {which} ended (killed by signal 9 (SIGKILL))" in pair.supervisor_log


def test_a_service_ends_with_its_supervisor(services: Services) -> None:
    service = start(services)
    assert service.process is not None
    sessions = pids(service)
    service.process.kill()
    service.process.wait()
    wait_until(lambda: not any(session_members(session) for session in sessions), what="all have ended")
    service.start()
    assert service.score("x").status == 200
    wait_until(lambda: is_whole(service, 2), what="all servers serve")
    end(service)


def test_a_stop_finishes_what_all_of_them_hold(services: Services, gate: Gate) -> None:
    service = start(services, script=who(1, gate=gate))
    sessions = pids(service)
    with ThreadPoolExecutor(8) as pool:
        held = [pool.submit(service.score, "held") for _ in range(8)]
        wait_until(lambda: service.status.requests_in_flight == 2, what="both are busy")
        wait_until(lambda: service.status.requests_waiting == 6, what="the others wait")
        service.control.stop()
        gate.open()
        assert [each.result().status for each in held] == [200] * 8
    assert service.process is not None
    assert service.process.wait(20) == 0
    assert not any(session_members(session) for session in sessions)
    left = sorted(path.name for path in service.folder.iterdir())
    assert left == ["logs", "service.json", "service.lock", "started", "work"]


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_verbs_take_effect_in_all_and_drop_nothing(pair: RunningService) -> None:
    control = pair.control
    with clients(pair) as seen:
        wait_until(lambda: len(seen) == 2, what="both have clients")
        control.switch(pair.revision(2, who(2)))
        assert {revision for revision, _, _ in asked(pair, times=3)} == {2}
        control.host(pair.revision(3, who(3)))
        control.split(Traffic(weights={3: 100}))
        assert {revision for revision, _, _ in asked(pair, times=3)} == {3}
        control.promote(3)
        control.release(2)
        assert [revision.revision for revision in pair.status.revisions] == [3]
        assert [len(revision.workers) for revision in pair.status.revisions] == [2]
        control.configure(worker_start=WorkerStart.FORK, limits=Limits(max_queue_length=100))
        control.scale(3, workers=4)
        wait_until(lambda: is_whole(pair, 4), what="two workers each")
        control.scale(3, autoscale=Autoscale(min_workers=2, max_workers=2))
        wait_until(lambda: is_whole(pair, 2), what="one worker each")
    assert {key for counter in seen.values() for key in counter} <= {(200, 1), (200, 2), (200, 3)}
    assert sum((200, 3) in counter for counter in seen.values()) == 2
    wait_until(
        lambda: sorted(path.name for path in (pair.folder / "work").iterdir()) == ["3", "3.1"], what="folders removed"
    )


def test_a_share_and_a_key_are_taken_away_in_all_while_another_revision_starts(
    pair: RunningService, gate: Gate
) -> None:
    pair.control.host(pair.revision(2, who(2)))
    with ThreadPoolExecutor(2) as pool:
        hosting = pool.submit(pair.control.host, pair.revision(3, who(3, before=gate.wait)))
        try:
            wait_until(lambda: pair.status.switching, what="the third one is being started")
            pool.submit(pair.control.split, Traffic(weights={2: 100})).result(PATIENCE_S)
            assert {answer[0] for answer in asked(pair, times=3)} == {2}
            keys = AuthSettings(enabled=True, key_digests=["00" * 32])
            pool.submit(pair.control.configure, auth=keys).result(PATIENCE_S)
            assert {pair.score("x").status for _ in range(10)} == {401}
            assert not hosting.done()
        finally:
            gate.open()
        hosting.result()


def test_what_fails_in_one_of_them_is_in_none(pair: RunningService, tmp_path: Path) -> None:
    """The script starts once only: of the two servers one cannot have it."""
    once = f"os.mkdir({str(tmp_path / 'once')!r})"
    before = (pair.settings, [worker.pid for worker in pair.status.workers])
    with clients(pair) as seen:
        with pytest.raises(SwitchFailed, match="File exists") as raised:
            pair.control.switch(pair.revision(2, who(2, before=once)))
        assert raised.value.failure.phase == "init"
        with pytest.raises(RequestRefused, match=r"workers .for revision 1. must be at least server_processes"):
            pair.control.configure(workers=1)
    assert (pair.settings, [worker.pid for worker in pair.status.workers]) == before
    assert {key for counter in seen.values() for key in counter} == {(200, 1)}
    assert sorted(path.name for path in (pair.folder / "work").iterdir()) == ["1", "1.1"]
    pair.control.switch(pair.revision(3, who(3)))
    assert {revision for revision, _, _ in asked(pair, times=3)} == {3}


def slow(tmp_path: Path, revision: int) -> str:
    """A script whose ``init()`` waits until it may go on."""
    started, go = tmp_path / "started", tmp_path / "go"
    wait = f"open({str(started)!r}, 'a').write('x')\n    while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    return who(revision, before=wait)


@pytest.mark.parametrize("which", [0, 1])
def test_one_that_dies_in_the_middle_of_a_switch(pair: RunningService, tmp_path: Path, which: int) -> None:
    victim = pids(pair)[which]
    revision = pair.revision(2, slow(tmp_path, 2))
    with ThreadPoolExecutor(1) as pool:
        switching = pool.submit(ControlClient(pair.folder).switch, revision)
        wait_until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text() == "xx", what="both")
        os.kill(victim, signal.SIGKILL)
        with pytest.raises((SwitchFailed, ServiceNotRunning)):
            switching.result()
    wait_until(lambda: is_whole(pair, 2), what="it is back")
    assert {revision for revision, _, _ in asked(pair, times=3)} == {1}
    wait_until(lambda: sorted(p.name for p in (pair.folder / "work").iterdir()) == ["1", "1.1"], what="nothing is left")
    (tmp_path / "go").touch()
    pair.control.switch(pair.revision(3, who(3)))
    assert {revision for revision, _, _ in asked(pair, times=3)} == {3}


def test_one_that_missed_a_change_has_it_when_it_is_back(pair: RunningService) -> None:
    """The leader has written the settings down, and dies before the other one hears of them."""
    leader, follower = pids(pair)
    os.kill(follower, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(pair.control.split, Traffic(version_header="x-version"))
        wait_until(lambda: pair.settings.traffic.version_header == "x-version", what="it is written down")
        os.kill(leader, signal.SIGKILL)
        with pytest.raises(ServiceNotRunning):
            changing.result()
    os.kill(follower, signal.SIGCONT)
    wait_until(lambda: is_whole(pair, 2), what="it is back")

    def all_know_of_it() -> bool:
        answers = [pair.ask("POST", "/score", body="x", headers={"x-version": "9"}) for _ in range(20)]
        return {answer.status for answer in answers} == {404}

    wait_until(all_know_of_it, what="both have the new traffic")


def test_one_that_cannot_be_told_of_a_change_is_waited_for(pair: RunningService) -> None:
    """Somebody has removed its socket's file: a key that was taken away, say, must not be good there any more."""
    servers = pids(pair)
    (pair.folder / "server-1.sock").unlink()
    pair.control.split(Traffic(version_header="x-version"))
    answers = [pair.ask("POST", "/score", body="x", headers={"x-version": "9"}) for _ in range(30)]
    assert {answer.status for answer in answers} == {404}
    pair.control.switch(pair.revision(2, who(2)))
    assert {revision for revision, _, _ in asked(pair, times=3)} == {2}
    assert pids(pair) == servers


def test_one_that_hangs_is_started_anew(pair: RunningService) -> None:
    _, follower = pids(pair)
    os.kill(follower, signal.SIGSTOP)
    pair.control.split(Traffic(version_header="x-version"))
    wait_until(lambda: is_whole(pair, 2), what="another one is there")
    assert follower not in pids(pair)
    assert f"process {follower} is ended" in pair.supervisor_log
    answers = [pair.ask("POST", "/score", body="x", headers={"x-version": "9"}).status for _ in range(30)]
    assert set(answers) == {404}


def test_a_switch_does_not_wait_for_one_that_hangs(pair: RunningService) -> None:
    _, follower = pids(pair)
    os.kill(follower, signal.SIGSTOP)
    with pytest.raises(SwitchFailed, match="another one is started"):
        pair.control.switch(pair.revision(2, who(2)))
    wait_until(lambda: is_whole(pair, 2), what="another one is there")
    pair.control.switch(pair.revision(3, who(3)))
    assert {revision for revision, _, _ in asked(pair, times=3)} == {3}


def test_one_of_an_earlier_version_does_not_go_on_with_earlier_settings(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is replaced while it runs, and the leader dies: its successor knows a setting that the other one
    does not."""
    package = tmp_path / "installed" / "modelport_scoring"
    shutil.copytree(Path(modelport_scoring.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(package.parent))
        service = start(services)
    leader, follower = pids(service)
    text, field = (package / "settings" / "service.py").read_text(), "    server_processes: int = 1\n"
    assert text.count(field) == 1
    (package / "settings" / "service.py").write_text(text.replace(field, f"{field}    novelty: int = 1\n"))
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: is_whole(service, 2) and follower not in pids(service), what="both are of the later version")
    assert f"process {follower} is ended" in service.supervisor_log
    connections = [service.connect() for _ in range(30)]
    service.control.split(Traffic(version_header="x-version"))  # now the file has the setting, which is none here
    answers = [ask(each, "POST", "/score", body="x", headers={"x-version": "9"}).status for each in connections]
    assert set(answers) == {404}
    for connection in connections:
        connection.close()
    end(service)


@pytest.mark.parametrize("line", ['{"do": "prepare"}', '{"do": "rejoice"}', "{"])
def test_what_is_no_order_is_told(pair: RunningService, line: str) -> None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(pair.folder / "server-1.sock"))
        channel.sendall(f"{line}\n".encode())
        answer = json.loads(channel.makefile().readline())
    assert "order that cannot be read" in answer["failure"]["message"]


@asynccontextmanager
async def follower(heard: list[str]) -> AsyncIterator[LineSocket]:
    """What the second process of the service in this folder is asked at; it writes down what it is to do."""

    async def answer(line: bytes) -> tuple[bytes, None]:
        heard.append(json.loads(line)["do"])
        return b"{}", None

    listens = LineSocket(peer_socket(1), answer)
    await listens.open()
    yield listens
    listens.close()


@pytest.mark.parametrize("what", ["adopt", "discard"])
def test_one_that_follows_is_told_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Else it would go on with a revision that was released, or with workers that belong to nobody."""
    monkeypatch.chdir(tmp_path)
    heard: list[str] = []

    async def tell() -> None:
        settings = ServiceSettings(
            name="a", workspace="b", revision=RevisionSettings(number=1, bundle="", interpreter=[])
        )
        peers = Peers(2)
        async with follower(heard):
            with room_for(0):
                telling = asyncio.ensure_future(peers.adopt(lambda: settings) if what == "adopt" else peers.discard())
                assert not (await asyncio.wait([telling], timeout=0.3))[0], "it waits until it can"
            await asyncio.wait_for(telling, PATIENCE_S)

    asyncio.run(tell())
    assert heard == [what]


def test_one_whose_socket_was_removed_discards_once_it_listens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would have it end what it has prepared: the settings in the file are those that it has."""
    monkeypatch.chdir(tmp_path)
    heard: list[str] = []

    async def tell() -> None:
        async with follower(heard) as listens:
            Path(peer_socket(1)).unlink()
            telling = asyncio.ensure_future(Peers(2).discard())
            await asyncio.sleep(0)  # it begins
            listens.look()
            await asyncio.wait_for(telling, PATIENCE_S)

    asyncio.run(tell())
    assert heard == ["discard"]


def test_who_cannot_be_heard_by_one_that_hangs_does_not_hang_too(tmp_path: Path) -> None:
    path = str(tmp_path / "hangs.sock")
    with ExitStack() as opened:
        hangs = opened.enter_context(socket.socket(socket.AF_UNIX))
        hangs.bind(path)
        hangs.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                waits = opened.enter_context(socket.socket(socket.AF_UNIX))
                waits.setblocking(False)
                waits.connect(path)
        with pytest.raises(BlockingIOError):
            end_listener(path, why="does not answer")


def test_one_that_hangs_can_be_ended_by_who_has_asked_it_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with somebody who asks for the status again and again: those that have given up wait still."""
    monkeypatch.chdir(tmp_path)
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))

    async def ask() -> None:
        async with follower([]):
            for _ in range(120):  # and its loop does not turn meanwhile
                with socket.socket(socket.AF_UNIX) as asks:
                    asks.setblocking(False)
                    asks.connect(peer_socket(1))
            end_listener(peer_socket(1), why="does not answer")

    asyncio.run(ask())
    assert killed == [os.getpid()]


def test_one_is_not_ended_because_there_was_nothing_to_ask_it_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of ours may go, and leave us its descriptor, between our asking and our ending it."""
    monkeypatch.chdir(tmp_path)
    ended: list[str] = []
    monkeypatch.setattr(peers_of, "end_listener", lambda path, *, why: ended.append(why))

    async def watch() -> None:
        async with follower([]):
            with room_for(0):
                await Peer(1).watch()

    asyncio.run(watch())
    assert ended == []


def test_who_has_nothing_to_look_with_does_not_say_that_a_process_is_gone() -> None:
    with room_for(0), pytest.raises(OSError, match="Too many open files"):
        parent_of(os.getpid())
    assert parent_of(os.getpid()) == os.getppid()

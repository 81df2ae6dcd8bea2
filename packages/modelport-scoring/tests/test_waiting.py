"""Requests that wait for a worker: how many, for how long, and what becomes of those whose clients go."""

from __future__ import annotations

import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from modelport_scoring import Limits, ServiceState
from scoring_services import PATIENCE_S, Gate, Services, read_all, wait_until
from test_http import post
from test_workers import crashes, starts_again_at

MEBIBYTE = 1024 * 1024


def test_requests_wait_while_the_first_worker_starts(services: Services, gate: Gate) -> None:
    script = f"import os, time\ndef init():\n    {gate.wait}\ndef run(x): return x\n"
    service = services.start(script, until=ServiceState.STARTING)
    health = service.ask("GET", "/")
    assert health.status == 503
    assert b"init()" in health.body
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(service.score, "early")
        wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
        gate.open()
        assert early.result().json == "early"


def test_requests_wait_where_a_worker_is_killed_while_it_starts(services: Services, gate: Gate) -> None:
    def kill_starting(than: int) -> int:
        wait_until(
            lambda: (
                [(each.state, each.pid is not None and each.pid != than) for each in service.status.workers]
                == [("starting", True)]
            ),
            what="a worker starts",
        )
        pid = service.status.workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    service = services.start(starts_again_at(gate))
    assert service.score("die").status == 502
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(service.score, "patient")
        wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
        first = kill_starting(0)
        late = pool.submit(service.score, "late")
        wait_until(lambda: service.status.requests_waiting == 2, what="both wait")
        gate.open()
        assert [waiting.result().json, late.result().json] == ["patient", "late"]
        gate.path.unlink()
        assert service.score("die").status == 502
        refused = pool.submit(service.score, "x")
        kill_starting(kill_starting(first))
        assert refused.result().status == 503, "two in a row"
    gate.open()
    service.wait_for(ServiceState.RUNNING)


def test_the_queue_is_bounded_in_number_and_time(services: Services, gate: Gate) -> None:
    service = services.start(crashes(gate), limits={"max_queue_length": 2, "queue_wait_ms": 60_000})
    with ThreadPoolExecutor(8) as pool:
        held = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        waiting = [pool.submit(service.score, "x") for _ in range(2)]
        wait_until(lambda: service.status.requests_waiting == 2, what="the queue is full")
        refused = service.score("x")
        assert refused.status == 503
        assert "max_queue_length is 2" in refused.message
        service.control.configure(limits=Limits(max_queue_length=2, queue_wait_ms=300))
        for each in waiting:
            answer = each.result()
            assert answer.status == 503
            assert "queue_wait_ms is 300" in answer.message
            assert "demo (overloaded)" in answer.message
        gate.open()
        assert held.result().status == 200
    gate.path.unlink()
    service.control.configure(limits=Limits(queue_wait_ms=20_000))
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(service.score, "held") for _ in range(2)]
        wait_until(lambda: service.status.requests_waiting == 1, what="one of them waits")
        gate.open()
        assert [each.result().status for each in answers] == [200, 200]


def test_a_waiting_request_whose_client_is_gone_is_dropped(services: Services, gate: Gate) -> None:
    script = f"""
    import os, time
    seen = []
    def init(): pass
    def run(x):
        if x == "held":
            {gate.wait}
        seen.append(x)
        return seen
    """
    service = services.start(script)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        with service.raw_connection() as channel:
            channel.sendall(post(b"gone"))
            wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
        wait_until(lambda: service.status.requests_waiting == 0, what="it is dropped")
        gate.open()
        assert held.result().status == 200
    assert service.score("last").json == ["held", "last"]


def clients(server: psutil.Process) -> int:
    """How many are connected to it. Its descriptors are no measure: whoever asks for its status has one, too."""
    return sum(each.status == psutil.CONN_ESTABLISHED for each in server.net_connections("tcp"))


def test_no_other_worker_scores_for_a_client_that_is_gone(services: Services, gate: Gate, tmp_path: Path) -> None:
    """It was behind the one that brought the first worker down."""
    script = f"""
    import os, time
    def init(): pass
    def run(x):
        if x == "die":
            {gate.wait}
            os._exit(1)
        with open({str(tmp_path / "seen")!r}, "a") as seen:
            seen.write(x + " ")
    """
    service = services.start(script)
    server = psutil.Process(service.status.pid)
    for _ in range(50):  # from then on it holds several
        service.score("quick")
    with ThreadPoolExecutor(1) as pool:
        dies = pool.submit(service.score, "die")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        alone = clients(server)
        with service.raw_connection() as channel:
            channel.sendall(post(b"gone"))
            wait_until(lambda: service.status.requests_in_flight == 2, what="it is behind the other one")
        wait_until(lambda: clients(server) == alone, what="the server has noticed")
        gate.open()
        assert dies.result().status == 502
    assert service.score("last").status == 200
    assert set((tmp_path / "seen").read_text().split()) == {"quick", "last"}


def test_the_body_of_a_waiting_request_goes_with_its_client(services: Services, gate: Gate) -> None:
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n")
    with service.raw_connection(patience_s=3 * PATIENCE_S) as held:  # 512 MiB come meanwhile
        held.sendall(post(b"held", headers=b"Connection: close\r\n"))
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        before = resident_bytes(service.status.pid)
        for _ in range(8):
            with service.raw_connection() as channel:
                channel.sendall(post(b"x" * 64 * MEBIBYTE))
                wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
            wait_until(lambda: service.status.requests_waiting == 0, what="it is dropped")
        wait_until(lambda: resident_bytes(service.status.pid) - before < 160 * MEBIBYTE, what="the bodies are gone")
        gate.open()
        assert read_all(held).startswith(b"HTTP/1.1 200 ")


def resident_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()

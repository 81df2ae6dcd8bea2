"""Large tensors of the Open Inference Protocol are worked on beside the event loop."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import select
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from inference_models import contract_from
from modelport_scoring.http.exchange import Exchange, Nobody
from modelport_scoring.http.request import Body, Head
from modelport_scoring.inference_protocol import side_process
from modelport_scoring.inference_protocol.jobs import Done, Job, Wanted, Write
from modelport_scoring.inference_protocol.paths import read_target
from modelport_scoring.inference_protocol.side_process import NoTurn, SideProcess
from modelport_scoring.service import Service
from modelport_scoring.serving.inference import HEAVY_BYTES, Inference, InferenceTicket, do
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.ticket import Ticket
from modelport_worker.frames import ALONE
from scoring_services import (
    Answer,
    RunningService,
    Services,
    ask,
    read_all,
    refuses,
    session_members,
    stop,
    wait_until,
)

SCRIPT = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
@output_schema(NumpyParameterType(np.array([1.5])))
def run(data):
    if data[0, 0] == 13:
        return data[:, 1].tolist()
    return [float(data.sum()), float(len(data))]
"""
INFER = "/v2/models/demo/infer"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("large"))
    yield made.start(SCRIPT)
    made.end()


def request(rows: int, *, first: float = 1.0, datatype: str = "FP64") -> bytes:
    """JSON with so many rows of two numbers of eighteen digits; 20 bytes a number."""
    numbers = b",".join([b"0.1234567890123456"] * (2 * rows - 1))
    head = b'{"id": "7", "inputs": [{"name": "data", "datatype": "%b", "shape": [%d, 2], "data": [%b,'
    return head % (datatype.encode(), rows, str(first).encode()) + numbers + b"]}]}"


def side_processes(service: RunningService) -> list[int]:
    """Those of the service that work on large tensors."""
    assert service.process is not None
    found = []
    for pid in session_members(service.process.pid):
        if side_process.__name__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    return found


@contextmanager
def watched(service: RunningService) -> Iterator[list[float]]:
    """How many seconds the server works until it answers each of the requests to ``/`` that are sent one after the
    other meanwhile: what they wait for it, and not for a machine that has other things to do."""
    took: list[float] = []
    done = threading.Event()
    server = service.status.pid

    def look() -> None:
        connection = service.connect()
        while not done.is_set():
            begun = worked_s(server)
            assert ask(connection, "GET", "/").status == 200
            took.append(worked_s(server) - begun)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield took
        finally:
            done.set()
            looking.result()


def worked_s(pid: int) -> float:
    """Seconds that the first thread of the process has been on a processor; clock ticks would tell too little."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def infer(service: RunningService, body: bytes, **headers: str) -> Answer:
    return service.ask("POST", INFER, body=body, headers=headers)


def outputs(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body[:500]
    assert answer.json["id"] == "7"
    data: list[Any] = answer.json["outputs"][0]["data"]
    return data


def test_others_are_answered_while_75_megabytes_are_read(service: RunningService) -> None:
    body = request(1_966_080)
    assert len(body) > 73_000_000
    infer(service, request(20_000))
    (reader,) = side_processes(service)
    begun = worked_s(reader)
    with watched(service) as took:
        answer = infer(service, body)
    read_s = worked_s(reader) - begun
    total, rows = outputs(answer)
    assert rows == 1_966_080
    assert total == pytest.approx(1.0 + 0.1234567890123456 * (2 * rows - 1))
    assert len(took) > 10
    assert sorted(took)[int(len(took) * 0.99)] < 0.05
    assert max(took) < min(0.4, read_s / 2), "nobody waits for the whole of it"


def test_others_are_answered_while_a_large_answer_is_written(service: RunningService) -> None:
    body = request(400_000, first=13.0)
    with watched(service) as took:
        answer = infer(service, body)
    assert outputs(answer) == [0.1234567890123456] * 400_000
    assert len(took) > 10
    assert max(took) < 0.4


def test_large_tensors_get_the_answers_of_small_ones(service: RunningService) -> None:
    """Errors, too, and of each kind of body."""
    rows, small = 20_000, infer(service, request(2))
    large = infer(service, request(rows))
    assert large.headers.keys() == small.headers.keys()
    assert large.json["outputs"][0]["shape"] == small.json["outputs"][0]["shape"]
    zipped = gzip.compress(request(rows))
    assert outputs(infer(service, zipped, **{"Content-Encoding": "gzip"})) == outputs(large)
    for body, message in (
        (request(rows)[:-3], "cannot be read"),
        (request(rows, datatype="FP99"), "FP99"),
        (request(rows).replace(b'"data", "da', b'"nope", "da'), 'no input "nope"'),
        (request(rows).replace(b"[20000, 2]", b"[20001, 2]"), "takes 40002 elements of data; there are 40000"),
    ):
        answer = infer(service, body)
        assert (answer.status, message in answer.json["error"]) == (400, True), answer.body
    too_long = infer(service, b"x" * 600_000, **{"Inference-Header-Content-Length": "9999999"})
    assert "Inference-Header-Content-Length is '9999999'" in too_long.json["error"]


def test_binary_data_that_need_no_reading_stay_with_the_server(services: Services) -> None:
    service = services.start(SCRIPT)
    numbers = np.ones((100_000, 2))
    for dtype, datatype in (("<f8", "FP64"), ("<f4", "FP32")):
        data = numbers.astype(dtype).tobytes()
        described = {
            "name": "data",
            "datatype": datatype,
            "shape": [100_000, 2],
            "parameters": {"binary_data_size": len(data)},
        }
        head = json.dumps({"id": "7", "inputs": [described]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        assert outputs(infer(service, head + data, **headers)) == [200_000, 100_000]
        assert bool(side_processes(service)) is (datatype == "FP32")


def test_a_process_that_dies_costs_its_request_and_no_other(service: RunningService) -> None:
    infer(service, request(20_000))
    (pid,) = side_processes(service)
    with ThreadPoolExecutor(2) as pool:
        os.kill(pid, signal.SIGSTOP)
        first, second = (pool.submit(infer, service, request(20_000)) for _ in range(2))
        wait_until(lambda: service.status.requests_in_flight == 0, what="nothing is with a worker")
        os.kill(pid, signal.SIGKILL)
        answers = [first.result(), second.result()]
    assert sorted(answer.status for answer in answers) == [200, 500]
    failed = next(answer for answer in answers if answer.status == 500)
    assert "killed by signal 9 (SIGKILL)" in failed.json["error"]


def test_a_revision_that_is_replaced_meanwhile_answers_what_it_took(services: Services) -> None:
    service = services.start(SCRIPT)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, service, request(400_000))
        wait_until(lambda: bool(side_processes(service)), what="it is being read")
        service.control.switch(service.revision(2, SCRIPT))
        assert outputs(asked.result())[1] == 400_000


def test_a_stop_finishes_what_is_being_read(services: Services) -> None:
    service = services.start(SCRIPT)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, service, request(400_000, first=13.0))
        wait_until(lambda: bool(side_processes(service)), what="it is being read")
        service.control.stop()
        assert outputs(asked.result()) == [0.1234567890123456] * 400_000
    assert service.process is not None
    assert service.process.wait(20) == 0
    assert session_members(service.process.pid) == []


def test_a_stop_does_not_wait_for_what_nobody_is_left_to_score(services: Services) -> None:
    """The only worker dies while the last request is being read: that is refused, and the end goes on."""
    service = services.start(SCRIPT, limits={"drain_timeout_s": 60.0})
    assert service.process is not None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, service, request(500_000))
        wait_until(lambda: bool(side_processes(service)), what="it is being read")
        (reader,) = side_processes(service)
        stop(reader)
        service.control.stop()
        wait_until(lambda: refuses(service.settings.port), what="the stop")
        while not asked.done():  # another one is started until the pool, too, is told of the stop
            kill_workers(service)
            with suppress(ProcessLookupError):  # the answer is on its way
                os.kill(reader, signal.SIGCONT)
        assert asked.result().status == 503
    assert service.process.wait(20) == 0


def kill_workers(service: RunningService) -> None:
    assert service.process is not None
    for pid in session_members(service.process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"modelport_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def test_a_client_that_leaves_is_forgotten(service: RunningService) -> None:
    infer(service, request(20_000))
    (pid,) = side_processes(service)
    os.kill(pid, signal.SIGSTOP)
    body = request(40_000)
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with service.raw_connection() as channel:
        channel.sendall(head.encode() + body)
    os.kill(pid, signal.SIGCONT)
    assert outputs(infer(service, request(20_000)))[1] == 20_000
    status = service.status
    assert (status.requests_in_flight, status.requests_waiting) == (0, 0)


@pytest.mark.parametrize("name", ["data", "id", "datatype", "output"])
def test_a_name_that_is_no_text_ends_no_process(service: RunningService, name: str) -> None:
    words = {"data": "data", "id": "7", "datatype": "FP64", "output": "output", name: "\ud800"}
    tensor = {"name": words["data"], "datatype": words["datatype"], "shape": [20_000, 2], "data": [0.125] * 40_000}
    body = {"id": words["id"], "inputs": [tensor], "outputs": [{"name": words["output"]}], "more": " " * 600_000}
    answer = infer(service, json.dumps(body).encode())
    assert (answer.status, "surrogates not allowed" in answer.json["error"]) == (400, True)


JOB = Write(
    model="demo",
    version="1",
    contract=Contract(input="json"),
    wanted=Wanted(id=None, outputs=None, is_binary=False),
    status=200,
)


class OutOfMemory(SideProcess):
    async def do(self, *_: Any, **__: Any) -> tuple[Done, bytes]:
        raise MemoryError


def test_work_that_cannot_be_done_is_answered() -> None:
    async def work() -> Done:
        return (await do(OutOfMemory(), JOB, b"[1]"))[0]

    done = asyncio.run(work())
    assert (done.status, done.error) == (500, "the work on large tensors failed (MemoryError)")


def test_work_that_nobody_wants_is_not_done() -> None:
    async def work() -> None:
        process = SideProcess()
        with pytest.raises(NoTurn):
            await process.do(JOB, b"[1]", is_wanted=lambda: False)
        await process.do(JOB, b"[1]", wait_s=0.0)
        process.close()

    asyncio.run(work())


class Busy(SideProcess):
    """Has its next turn when all others have had theirs; ``for_long``: not in time."""

    def __init__(self, *, for_long: bool) -> None:
        super().__init__()
        self.done: list[Job] = []
        self._for_long = for_long

    async def do(
        self, job: Job, body: Body, *, wait_s: float | None = None, is_wanted: Callable[[], bool] = lambda: True
    ) -> tuple[Done, bytes]:
        await asyncio.sleep(0)
        if self._for_long or not is_wanted():
            raise NoTurn
        self.done.append(job)
        return Done(), b""


def make_service(folder: Path) -> Service:
    """One whose workers nobody has started."""
    revision = RevisionSettings(number=1, bundle="/", interpreter=["python"])
    settings = ServiceSettings(name="demo", workspace="tests", revision=revision)
    telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
    return Service(settings, folder=folder, loop=asyncio.get_running_loop(), telemetry=telemetry)


def infer_of(service: Service, path: str, body: bytes) -> tuple[Exchange, InferenceTicket]:
    target = read_target(path.encode())
    assert target is not None
    exchange = Exchange(Head(method=b"POST", target=path.encode(), version="1.1", headers={}), body, Nobody())
    ticket = InferenceTicket(exchange, service, target=target, endpoint=Inference(service).endpoint)
    ticket.revision = 1
    return exchange, ticket


TENSORS = contract_from({"data": {"type": "array", "items": {"type": "number"}, "example": [1.5]}}, wants_request=True)
SMALL = b'{"inputs": [{"name": "data", "datatype": "FP64", "shape": [1], "data": [1]}]}'


def test_a_small_one_goes_to_its_worker_as_it_is_to_be_scored(tmp_path: Path) -> None:
    """Alone, where a worker has died of those that were scored together; and by the revision that it names, which may
    have been replaced while it waited. A script that makes a stream is told that nobody wants it."""

    async def ask() -> None:
        service, left = make_service(tmp_path), list[Ticket]()
        exchange, ticket = infer_of(service, INFER, SMALL)
        for ticket.alone in (False, True):
            assert ticket.admit(TENSORS, None), exchange.response
            assert bool(ticket.flags & ALONE) is ticket.alone
        assert json.loads(ticket.meta.splitlines()[0])["path"] == INFER
        ticket.source = cast(Any, SimpleNamespace(cancel=left.append))
        ticket.stream_began(200, 0, 0, b"")
        assert exchange.response is not None and (exchange.response.status, left) == (500, [ticket])
        exchange, ticket = infer_of(service, "/v2/models/demo/versions/2/infer", SMALL)
        assert not ticket.admit(TENSORS, None)
        assert exchange.response is not None and exchange.response.status == 404
        assert json.loads(bytes(exchange.response.body)) == {"error": 'the model has no version "2" any more'}

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("leaves", "for_long", "expected"),
    [(False, False, (1, None, False)), (True, False, (0, None, True)), (False, True, (0, 503, True))],
)
def test_nothing_is_read_for_who_has_gone_or_been_refused(
    tmp_path: Path, leaves: bool, for_long: bool, expected: tuple[int, int | None, bool]
) -> None:
    """Nor goes such a request to a worker, which would answer it."""

    async def ask() -> tuple[int, int | None, bool]:
        service = make_service(tmp_path)
        service.side_process = process = Busy(for_long=for_long)
        exchange, ticket = infer_of(service, INFER, bytes(HEAVY_BYTES + 1))
        assert not ticket.admit(Contract(input="json"), None)
        assert ticket.away is not None
        if leaves:
            ticket.client_gone()
        await ticket.away
        await asyncio.sleep(0)
        assert not service._asides, "it is forgotten"
        status = None if exchange.response is None else exchange.response.status
        return len(process.done), status, ticket.abandoned

    assert asyncio.run(ask()) == expected


def test_what_was_read_for_one_script_is_read_anew_for_another(tmp_path: Path) -> None:
    """The revision was replaced after the tensors had been read by its schema."""

    async def ask() -> int:
        service = make_service(tmp_path)
        service.side_process = process = Busy(for_long=False)
        _, ticket = infer_of(service, INFER, bytes(HEAVY_BYTES + 1))
        for _ in range(2):
            assert not ticket.admit(Contract(input="json"), None)
            assert ticket.away is not None
            await ticket.away
        return len(process.done)

    assert asyncio.run(ask()) == 2


def ask_twice_of_a_busy_process(service: RunningService) -> list[Answer]:
    """The answers to two large requests, the process for which goes on once one of them has been answered."""
    infer(service, request(20_000))
    (pid,) = side_processes(service)
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(infer, service, request(20_000)) for _ in range(2)]
        wait_until(lambda: any(each.done() for each in both), what="one is refused")
        os.kill(pid, signal.SIGCONT)
        return [each.result() for each in both]


def test_what_waits_for_its_turn_for_too_long_is_refused(services: Services) -> None:
    service = services.start(SCRIPT, limits={"queue_wait_ms": 1000})
    answers = sorted(ask_twice_of_a_busy_process(service), key=lambda answer: answer.status)
    assert [answer.status for answer in answers] == [200, 503]
    assert "limits.queue_wait_ms" in answers[1].json["error"]
    assert "retry-after" in answers[1].headers
    assert "a request was refused: no worker took it in time (limits.queue_wait_ms)" in service.log
    assert (service.status.requests_in_flight, service.status.requests_waiting) == (0, 0)


def test_what_comes_at_the_same_moment_is_counted(services: Services) -> None:
    """Both are read from their sockets before either is given to the process."""
    service = services.start(SCRIPT, limits={"max_queue_bytes": 8000})
    numbers = np.random.default_rng(1).normal(size=600).tolist()
    tensor = {"name": "data", "datatype": "FP64", "shape": [300, 2], "data": numbers}
    body = zlib.compress(json.dumps({"id": "7", "inputs": [tensor]}).encode(), 1)
    assert side_process_only(service, body)
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Encoding: deflate\r\nContent-Length: {len(body)}\r\n"
    (pid,), server = side_processes(service), service.status.pid
    with service.raw_connection() as first, service.raw_connection() as second:
        for channel in (first, second):
            channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert channel.recv(4096).startswith(b"HTTP/1.1 200")
        os.kill(pid, signal.SIGSTOP)
        stop(server)
        for channel in (first, second):
            channel.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        os.kill(server, signal.SIGCONT)
        ready, _, _ = select.select([first, second], [], [], 15.0)
        os.kill(pid, signal.SIGCONT)
        assert ready, "both wait"
        statuses = sorted(read_all(channel).split()[1] for channel in (first, second))
    assert statuses == [b"200", b"503"]


def side_process_only(service: RunningService, body: bytes) -> bool:
    """Whether a request with that body, of which one fits where two do not, is read by the process."""
    answer = infer(service, body, **{"Content-Encoding": "deflate"})
    return 4096 < len(body) < 8000 and outputs(answer)[1] == 300 and bool(side_processes(service))


def test_more_than_may_wait_is_refused(services: Services) -> None:
    service = services.start(SCRIPT, limits={"max_queue_bytes": 1_000_000})
    statuses = [answer.status for answer in ask_twice_of_a_busy_process(service)]
    assert sorted(statuses) == [200, 503]
    assert "(limits.max_queue_bytes)" in service.log

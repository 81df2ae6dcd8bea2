"""One server from its start to its end: the right answers first, then the loads."""

from __future__ import annotations

import contextlib
import http.client
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.scoring.cores import Cores
from bench.scoring.environments import environment_for
from bench.scoring.peers.interface import CannotServe, Peer, Place
from bench.scoring.processes import ServerProcess, free_port
from bench.scoring.workloads import Answer, Load, Sample, Workload
from bench.scoring.wrk import Call, LoadResult, finish_wrk, start_wrk, write_body, wrk_command

POLL_S = 0.005
ANSWER_PATIENCE_S = 30.0
WARM_UP_S = 1
CLOSE = 1e-6
SETTLE_PATIENCE_S = 20.0
SETTLE_STEP_S = 0.5
IDLE = 0.1
"""Of a core: a server that uses less has nothing to do."""
PROBE = Load(connections=1, pause_ms=20)
"""Of the health route: paced, or it would take the core from the model."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One load on one server."""

    load: LoadResult
    cpu_us_per_request: float
    health: LoadResult | None


class Sitting:
    """A running server that has given the right answer."""

    def __init__(
        self, peer: Peer, server: ServerProcess, *, call: Call, place: Place, cores: Cores, cold_start_s: float
    ) -> None:
        self.peer = peer
        self.server = server
        self.cold_start_s = cold_start_s
        self._call = call
        self._place = place
        self._cores = cores

    def warm_up(self, load: Load) -> None:
        """Drive it for a moment without measuring."""
        self._drive(self._call, load, seconds=WARM_UP_S)

    def measure(self, load: Load, *, seconds: int, probes_health: bool = False) -> Measured:
        """Drive it, and count what that cost. Raises LoadFailed."""
        seconds = load.within(seconds)
        before = self.server.cpu_seconds()
        probe = self._start(self._health_call(), PROBE, seconds=seconds) if probes_health else None
        result = self._drive(self._call, load, seconds=seconds)
        health = finish_wrk(probe, seconds=seconds) if probe is not None else None
        used = self.server.cpu_seconds() - before
        return Measured(load=result, cpu_us_per_request=used * 1e6 / max(1, result.requests), health=health)

    def _health_call(self) -> Call:
        return Call(method="GET", path=self.peer.health_path)

    def _drive(self, call: Call, load: Load, *, seconds: int) -> LoadResult:
        return finish_wrk(self._start(call, load, seconds=seconds), seconds=seconds)

    def _start(self, call: Call, load: Load, *, seconds: int) -> subprocess.Popen[str]:
        body_file = write_body(call, self._place.scratch, name=call.method.lower())
        command = wrk_command(
            call, load, port=self._place.port, seconds=seconds, body_file=body_file, core=self._cores.load
        )
        return start_wrk(command)


@contextlib.contextmanager
def sitting(peer: Peer, workload: Workload, sample: Sample, *, models: Path, cores: Cores) -> Iterator[Sitting]:
    """Start the peer with that model, and end it.

    Raises CannotInstall, and CannotServe where it does not come up, or answers wrongly.
    """
    if workload.key in peer.lacks:
        raise CannotServe(peer.lacks[workload.key])
    python = environment_for(peer.requirements)
    scratch = Path(tempfile.mkdtemp(prefix="sitting-"))
    place = Place(
        python=python,
        workload=workload,
        model_folder=models / workload.script,
        port=free_port(),
        scratch=scratch,
    )
    server = ServerProcess(peer.launch(place), core=cores.server, log=scratch / "server.log")
    try:
        call = with_headers(peer.wire.call(workload, sample), peer.headers)
        cold_start_s = await_first_answer(server, call, port=place.port, patience_s=peer.starts_in_s)
        verify(peer, workload, sample, call=call, port=place.port)
        settle(server)
        yield Sitting(peer, server, call=call, place=place, cores=cores, cold_start_s=cold_start_s)
    finally:
        server.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def with_headers(call: Call, headers: tuple[tuple[str, str], ...]) -> Call:
    return Call(path=call.path, body=call.body, method=call.method, headers=call.headers + headers)


def await_first_answer(server: ServerProcess, call: Call, *, port: int, patience_s: float) -> float:
    """Ask until it answers 200; the seconds since its start. Raises CannotServe."""
    last = "no answer"
    while (passed := time.monotonic() - server.started) < patience_s:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, body = ask(call, port=port)
            if status == 200:
                return time.monotonic() - server.started
            last = f"{status} {body[:200].decode(errors='replace')}"
        if server.ended is not None:
            raise CannotServe(f"it ended with status {server.ended}: {server.last_words}")
        time.sleep(POLL_S)
    raise CannotServe(f"no 200 in {passed:.0f} s; the last answer: {last}; its log: {server.last_words}")


def settle(server: ServerProcess) -> None:
    """Wait until it has stopped starting: some go on with that long after their first answer."""
    deadline = time.monotonic() + SETTLE_PATIENCE_S
    before = server.cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(SETTLE_STEP_S)
        now = server.cpu_seconds()
        if now - before < IDLE * SETTLE_STEP_S:
            return
        before = now


def ask(call: Call, *, port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_PATIENCE_S)
    try:
        connection.request(call.method, call.path, body=call.body, headers=dict(call.headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def verify(peer: Peer, workload: Workload, sample: Sample, *, call: Call, port: int) -> None:
    """Whether the values are right, not only the status. Raises CannotServe."""
    status, body = ask(call, port=port)
    if status != 200:
        raise CannotServe(f"the second request was answered {status}: {body[:200].decode(errors='replace')}")
    answer = peer.wire.read(workload, body)
    if not same(answer, sample.expected):
        raise CannotServe(f"wrong answer: {shortened(answer)} instead of {shortened(sample.expected)}")


def same(answer: Answer, expected: Answer) -> bool:
    """Bytes must be equal, numbers so but for rounding."""
    if isinstance(answer, bytes) or isinstance(expected, bytes):
        return answer == expected
    return len(answer) == len(expected) and all(
        math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE) for one, other in zip(answer, expected, strict=True)
    )


def shortened(answer: Answer) -> str:
    return f"{answer[:3]!r}… ({len(answer)})"

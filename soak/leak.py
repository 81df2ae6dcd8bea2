"""A week's leak in an hour: after many requests, server and worker take no more memory than after a few."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.scoring.cores import choose_cores
from bench.scoring.workloads import Load
from bench.scoring.wrk import Call, finish_wrk, require_wrk, start_wrk, write_body, wrk_command
from soak.service import DOUBLE, Service, serve

FIRST_COUNT = 100_000
"""By then everything that is made once has been made."""

MOST_GROWTH = 0.05
CONNECTIONS = 64
PIPELINE = 4
ROUND_S = 5
IDLE_S = 8.0
"""Longer than it takes an idle server to give freed memory back."""
LARGE_EVERY = 10
"""One round in so many sends large bodies, the first one too."""

SMALL = Call(path="/score", body=b'{"x": [[1]]}', headers=(("Content-Type", "application/json"),))
LARGE = Call(path="/score", body=b'{"x": [%s]}' % b",".join([b"[1]"] * 20_000), headers=SMALL.headers)


@dataclass(frozen=True)
class Sample:
    """Resident memory in KiB after so many requests. Not its proportional part, which changes with other processes."""

    requests: int
    server_kib: int
    worker_kib: int


@dataclass(frozen=True)
class Outcome:
    samples: list[Sample]
    errors: int

    @property
    def faults(self) -> list[str]:
        first, last = self.samples[0], self.samples[-1]
        faults = [f"{self.errors} requests failed"] if self.errors else []
        for what, before, after in (
            ("server", first.server_kib, last.server_kib),
            ("worker", first.worker_kib, last.worker_kib),
        ):
            if after > before * (1 + MOST_GROWTH):
                faults.append(f"the {what} has grown from {before} to {after} KiB")
        return faults


def run(*, count: int) -> Outcome:
    """Sample after FIRST_COUNT requests, and then each time that there were as many again, up to ``count``."""
    require_wrk()
    with serve(DOUBLE.format(seconds=0), workers=1) as service, tempfile.TemporaryDirectory() as folder:
        return sample_under_load(service, Path(folder), count=count)


def sample_under_load(service: Service, folder: Path, *, count: int) -> Outcome:
    done = errors = rounds = 0
    due, samples = FIRST_COUNT, list[Sample]()
    while done < count:
        call = LARGE if rounds % LARGE_EVERY == 0 else SMALL
        requests, failed = drive(call, service.port, folder)
        done, errors, rounds = done + requests, errors + failed, rounds + 1
        if done >= due or done >= count:
            samples.append(take_sample(service, done))
            print(f"soak: {samples[-1]}", file=sys.stderr, flush=True)
            due *= 2
    return Outcome(samples=samples, errors=errors)


def drive(call: Call, port: int, folder: Path) -> tuple[int, int]:
    """One round of load: how many requests were answered, and how many failed."""
    load = Load(connections=CONNECTIONS, pipeline=PIPELINE) if call is SMALL else Load(connections=8)
    body = write_body(call, folder, name="call")
    command = wrk_command(call, load, port=port, seconds=ROUND_S, body_file=body, core=choose_cores().load)
    result = finish_wrk(start_wrk(command), seconds=ROUND_S)
    return result.requests, result.errors


def take_sample(service: Service, requests: int) -> Sample:
    """Once the server is idle and has given back what is free: holes between what lives are no leak."""
    time.sleep(IDLE_S)
    (worker,) = service.workers()
    return Sample(requests, resident_kib(service.server), resident_kib(worker))


def resident_kib(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss) // 1024

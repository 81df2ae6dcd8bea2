"""What forked workers share, measured: docs/architecture/03-data-plane.md has the figures for larger models."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import RunningService, Services
from test_fork_start import answers_of_each, parent, worker_pids

MODEL_MB = 200

MODEL = f"""
import os, time
def init():
    global model
    model = bytearray(b"x" * 1_000_000) * {MODEL_MB}
def run(x):
    if x.startswith("sleep"):
        time.sleep(float(x[5:]))
    return {{"pid": os.getpid(), "sum": sum(model[::4096])}}
"""


@pytest.mark.parametrize(("way", "least", "most"), [("fork", 0.9, 1.5), ("spawn", 3.6, 4.5)])
def test_memory_of_four_workers_in_models(services: Services, way: str, least: float, most: float) -> None:
    service = services.start(MODEL, worker_start=way, workers=4)
    answers = answers_of_each(service)
    assert {answer["sum"] for answer in answers.values()} == {ord("x") * (MODEL_MB * 1_000_000 // 4096 + 1)}
    assert least < memory_mb(service) / MODEL_MB < most


def memory_mb(service: RunningService) -> float:
    """The workers' and their template's: what is shared counts once."""
    pids = {*worker_pids(service), *map(parent, worker_pids(service))} - {service.status.pid}
    assert all(map(is_alive, pids))
    return sum(map(proportional_kb, pids)) * 1024 / 1_000_000


def proportional_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

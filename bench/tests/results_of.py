"""Results by hand."""

from __future__ import annotations

from typing import Any

from bench.scoring.results import Results, Round

TITLES = {
    "modelport": "Modelport",
    "modelport-batching": "Modelport, batching",
    "modelport-no-auth": "Modelport without auth",
    "azureml-inference-server-http": "azureml-inference-server-http",
    "fastapi": "FastAPI on uvicorn, lean",
    "litserve": "LitServe",
}


def empty() -> Results:
    return Results(machine="A processor, 2 cores", started="2026-11-22T10:00:00+00:00", seconds=5, titles=dict(TITLES))


def one_round(peer: str, workload: str, load: str, *, number: int = 1, **more: Any) -> Round:
    figures = {
        "requests_per_s": 1000.0,
        "p50_us": 1000,
        "p99_us": 2000,
        "cpu_us_per_request": 100.0,
        "memory_mib": 80.0,
        "server_memory_mib": 40.0,
        "cold_start_s": 1.0,
        "errors": 0,
    }
    return Round(peer=peer, workload=workload, load=load, number=number, **{**figures, **more})

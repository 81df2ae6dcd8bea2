"""How peers are started whose server is a Python file of ours."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import Place
from bench.scoring.processes import Launch

SERVED = Path(__file__).parents[1] / "served"


def variables(place: Place) -> dict[str, str]:
    """What ``served_model`` reads, and where it is found."""
    return {
        "BENCH_SCRIPT": place.workload.script,
        "BENCH_MODEL": str(place.model_folder),
        "BENCH_PORT": str(place.port),
        "PYTHONPATH": str(SERVED),
    }


def python_server(file: Path, place: Place, **more: str) -> Launch:
    """``python server.py`` in its environment."""
    return Launch(command=[str(place.python), str(file)], variables=variables(place) | more, folder=place.scratch)

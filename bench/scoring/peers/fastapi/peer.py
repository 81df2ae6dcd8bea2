"""FastAPI on uvicorn, written leanly: the baseline that a careful engineer would write by hand."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import ALL, Peer, Place
from bench.scoring.peers.python_server import variables
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    command = [str(place.python), "-m", "uvicorn", "server:app", "--app-dir", str(FOLDER), "--port", str(place.port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return Launch(command=command, variables=variables(place), folder=place.scratch)


PEERS = (
    Peer(
        key="fastapi",
        title="FastAPI on uvicorn, lean",
        requirements=FOLDER / "requirements.txt",
        package="fastapi",
        workloads=ALL,
        launch=launch,
        wire=PlainJson(),
    ),
)

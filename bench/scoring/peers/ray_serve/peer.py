"""Ray Serve with ``@serve.batch``: one replica behind its proxy, its access log off."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import Peer, Place
from bench.scoring.peers.python_server import python_server
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    return python_server(FOLDER / "server.py", place, RAY_USAGE_STATS_ENABLED="0")


PEERS = (
    Peer(
        key="ray-serve",
        title="Ray Serve, @serve.batch",
        requirements=FOLDER / "requirements.txt",
        package="ray",
        launch=launch,
        wire=PlainJson(),
        health_path="/-/healthz",
        batches=True,
        starts_in_s=120.0,
    ),
)

"""BentoML with adaptive batching, one worker, its access log off."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import Peer, Place
from bench.scoring.peers.python_server import variables
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    """``bentoml serve``; a home of its own, and no report of its use to anybody."""
    command = [str(place.python.with_name("bentoml")), "serve", "server:Bench", "--working-dir", str(FOLDER)]
    command += ["--host", "127.0.0.1", "--port", str(place.port), "--do-not-track"]
    more = {"BENTOML_HOME": str(place.scratch / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    return Launch(command=command, variables=variables(place) | more, folder=place.scratch)


PEERS = (
    Peer(
        key="bentoml",
        title="BentoML, adaptive batching",
        requirements=FOLDER / "requirements.txt",
        package="bentoml",
        launch=launch,
        wire=PlainJson(),
        health_path="/livez",
        batches=True,
    ),
)

"""LitServe, with batching and its fast queue; its access log off."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import Peer, Place, lacks_bytes
from bench.scoring.peers.python_server import python_server
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    return python_server(FOLDER / "server.py", place)


PEERS = (
    Peer(
        key="litserve",
        title="LitServe, batching",
        requirements=FOLDER / "requirements.txt",
        package="litserve",
        launch=launch,
        wire=PlainJson(),
        health_path="/health",
        lacks=lacks_bytes("it reads JSON or a form; a body of plain bytes is not offered"),
        batches=True,
    ),
)

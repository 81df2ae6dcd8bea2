"""pytriton: NVIDIA Triton's HTTP server before a Python function, with dynamic batching."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from bench.scoring.peers.interface import Peer, Place
from bench.scoring.peers.python_server import python_server
from bench.scoring.peers.wire import BinaryTensor, ByWorkload, OpenInference
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    # Triton embeds Python: the library must be the interpreter's own, not another one of that version in the system.
    library = str(sysconfig.get_config_var("LIBDIR"))
    return python_server(FOLDER / "server.py", place, PYTRITON_HOME=str(place.scratch), LD_LIBRARY_PATH=library)


PEERS = (
    Peer(
        key="pytriton",
        title="pytriton, dynamic batching",
        requirements=FOLDER / "requirements.txt",
        package="nvidia-pytriton",
        launch=launch,
        wire=ByWorkload(binary=BinaryTensor(), numeric=OpenInference()),
        health_path="/v2/health/live",
        batches=True,
        starts_in_s=90.0,
    ),
)

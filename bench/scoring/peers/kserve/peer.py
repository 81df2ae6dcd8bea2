"""KServe's Python model server, one process, over the Open Inference Protocol; without gRPC and access logs."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.peers.interface import Peer, Place
from bench.scoring.peers.python_server import variables
from bench.scoring.peers.wire import BinaryTensor, ByWorkload, OpenInference
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    options = {
        "http_port": str(place.port),
        "enable_grpc": "false",
        "workers": "1",
        "enable_latency_logging": "false",
        "log_config_file": str(FOLDER / "logging.json"),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [str(place.python), str(FOLDER / "server.py"), *arguments]
    return Launch(command=command, variables=variables(place), folder=place.scratch)


PEERS = (
    Peer(
        key="kserve",
        title="KServe's Python server",
        requirements=FOLDER / "requirements.txt",
        package="kserve",
        launch=launch,
        wire=ByWorkload(binary=BinaryTensor(), numeric=OpenInference()),
        health_path="/v2/health/live",
    ),
)

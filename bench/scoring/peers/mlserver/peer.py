"""MLServer in one process: its scikit-learn runtime, with and without adaptive batching; models of ours beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.scoring.models import MODEL_FILE
from bench.scoring.peers.interface import Peer, Place, lacks_bytes
from bench.scoring.peers.python_server import variables
from bench.scoring.peers.wire import ByWorkload, OpenInference, PlainJson
from bench.scoring.processes import Launch, free_port

FOLDER = Path(__file__).parent
RUNTIME = "mlserver_sklearn.SKLearnModel"
OURS = {"busy": "server.Model", "echo": "server.Echo"}
BATCHING = {"max_batch_size": 64, "max_batch_time": 0.002}


def launcher(batching: dict[str, Any]) -> Callable[[Place], Launch]:
    def launch(place: Place) -> Launch:
        """``mlserver start`` on a folder with its two files of settings. ``debug`` off turns the access log off."""
        server = {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": place.port,
            "grpc_port": free_port(),
            "metrics_port": free_port(),
            "parallel_workers": 0,
        }
        script = place.workload.script
        model = {
            "name": "model",
            "implementation": OURS.get(script, RUNTIME),
            "parameters": {"uri": str(place.model_folder / MODEL_FILE)},
            **batching,
        }
        (place.scratch / "settings.json").write_text(json.dumps(server))
        (place.scratch / "model-settings.json").write_text(json.dumps(model))
        command = [str(place.python.with_name("mlserver")), "start", str(place.scratch)]
        found = variables(place)
        found["PYTHONPATH"] += f":{FOLDER}"
        return Launch(command=command, variables=found, folder=place.scratch)

    return launch


def mlserver(key: str, title: str, batching: dict[str, Any]) -> Peer:
    return Peer(
        key=key,
        title=title,
        requirements=FOLDER / "requirements.txt",
        package="mlserver",
        launch=launcher(batching),
        wire=ByWorkload(binary=PlainJson(path="/echo"), numeric=OpenInference()),
        health_path="/v2/health/live",
        lacks=lacks_bytes("a handler of plain bytes is not batched") if batching else {},
        batches=bool(batching),
    )


PEERS = (mlserver("mlserver", "MLServer", {}), mlserver("mlserver-batching", "MLServer, adaptive batching", BATCHING))

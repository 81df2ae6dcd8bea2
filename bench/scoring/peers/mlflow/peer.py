"""MLflow's scoring server, ``mlflow models serve``, on a model with a signature."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.scoring.peers.interface import CannotServe, Peer, Place, lacks_bytes
from bench.scoring.peers.python_server import variables
from bench.scoring.peers.wire import JSON, numbers
from bench.scoring.processes import Launch
from bench.scoring.workloads import Answer, Sample, Workload
from bench.scoring.wrk import Call

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Invocations:
    """``{"inputs": [[…], …]}``, answered with ``{"predictions": …}``."""

    def call(self, workload: Workload, sample: Sample) -> Call:
        return Call(path="/invocations", body=json.dumps({"inputs": sample.rows}).encode(), headers=(JSON,))

    def read(self, workload: Workload, body: bytes) -> Answer:
        return list(numbers(json.loads(body)["predictions"]))


def launch(place: Place) -> Launch:
    model = saved_model(place)
    command = [str(place.python.with_name("mlflow")), "models", "serve", "--model-uri", str(model)]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1"]
    # It starts uvicorn by name, so its environment's programs must be found; uvicorn reads its log level there.
    more = {"PATH": f"{place.python.parent}:/usr/bin:/bin", "UVICORN_LOG_LEVEL": "warning", **QUIET}
    return Launch(command=command, variables=variables(place) | more, folder=place.scratch)


QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def saved_model(place: Place) -> Path:
    """The model in MLflow's format, saved once a run."""
    folder = place.model_folder.with_name(f"{place.model_folder.name}-mlflow")
    if not folder.exists():
        command = [str(place.python), str(FOLDER / "server.py"), str(folder)]
        environment = variables(place) | QUIET
        ended = subprocess.run(command, env=environment, cwd=place.scratch, capture_output=True, text=True)
        if ended.returncode:
            raise CannotServe(f"the model could not be saved: {ended.stderr.strip().splitlines()[-1]}")
    return folder


PEERS = (
    Peer(
        key="mlflow",
        title="MLflow's scoring server",
        requirements=FOLDER / "requirements.txt",
        package="mlflow",
        launch=launch,
        wire=Invocations(),
        health_path="/ping",
        lacks=lacks_bytes("it reads JSON and CSV; bytes are not offered"),
        starts_in_s=90.0,
    ),
)

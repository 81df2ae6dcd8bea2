"""The vendor's scoring server: Flask on gunicorn, the same entry scripts as Modelport's, its access log off."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.scoring.entry_scripts import script_for
from bench.scoring.peers.interface import ALL, Peer, Place
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent


def launch(place: Place) -> Launch:
    """``azmlinfsrv``, with a logging.json in the app's root as its documentation says."""
    shutil.copy(FOLDER / "logging.json", place.scratch)
    script = str(shutil.copy(script_for(place.workload), place.scratch))
    command = [str(place.python.with_name("azmlinfsrv")), "--entry_script", script, "--port", str(place.port)]
    command += ["--health_port", str(place.port), "--model_dir", str(place.model_folder)]
    return Launch(command=command, variables={"AML_APP_ROOT": str(place.scratch)}, folder=place.scratch)


PEERS = (
    Peer(
        key="azureml-inference-server-http",
        title="azureml-inference-server-http",
        requirements=FOLDER / "requirements.txt",
        package="azureml-inference-server-http",
        workloads=ALL,
        launch=launch,
        wire=PlainJson(),
    ),
)

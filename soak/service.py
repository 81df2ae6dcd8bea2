"""A service in a folder of its own, for as long as a run takes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from modelport_scoring import (
    Batching,
    ControlClient,
    RevisionSettings,
    ServiceNotRunning,
    ServiceSettings,
    ServiceState,
    log_path,
    read_settings,
    supervisor_command,
    write_settings,
)

PATIENCE_S = 60.0

DOUBLE = """
import time

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema


def init():
    pass


@input_schema("x", NumpyParameterType(np.array([[1.0]])))
def run(x):
    time.sleep({seconds})
    return (x * 2).tolist()
"""


class Service:
    """One that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = ControlClient(folder)
        self.port = read_settings(folder).port

    def workers(self) -> list[int]:
        """Process ids of the workers that take requests."""
        return [each.pid for each in self.control.status().workers if each.state == "ready" and each.pid is not None]

    @property
    def server(self) -> int:
        return self.control.status().pid

    @property
    def log(self) -> str:
        return log_path(self.folder, 1).read_text(errors="replace")


@contextlib.contextmanager
def serve(script: str, *, workers: int, batching: Batching | None = None) -> Iterator[Service]:
    """Start a service of the script, and end it with all that belongs to it."""
    with tempfile.TemporaryDirectory(prefix="modelport-soak-") as name:
        folder, bundle = Path(name) / "service", Path(name) / "bundle"
        write_bundle(bundle, script)
        folder.mkdir()
        revision = RevisionSettings(number=1, bundle=str(bundle), interpreter=[sys.executable])
        settings = ServiceSettings(name="soak", workspace="soak", revision=revision, workers=workers, batching=batching)
        write_settings(folder, settings)
        supervisor = subprocess.Popen(supervisor_command(folder), start_new_session=True)
        try:
            wait_until_running(folder)
            yield Service(folder)
        finally:
            end(supervisor)


def write_bundle(bundle: Path, script: str) -> None:
    source = bundle / "app" / "source"
    source.mkdir(parents=True)
    (source / "score.py").write_text(script)
    manifest = {
        "format": 1,
        "entry_script": "source/score.py",
        "source_directory": "source",
        "models": [],
        "environment": {"name": "none", "kind": "system", "lock_digest": "", "python": "3"},
        "environment_variables": {},
        "files": [],
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def wait_until_running(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ServiceNotRunning):
            status = ControlClient(folder).status()
            if status.state is ServiceState.FAILED:
                raise SystemExit(f"soak: the service does not start: {status.failure}")
            if all(worker.state == "ready" for worker in status.workers):
                return
        time.sleep(0.05)
    raise SystemExit(f"soak: the service is not ready after {PATIENCE_S} s")


def end(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.wait()

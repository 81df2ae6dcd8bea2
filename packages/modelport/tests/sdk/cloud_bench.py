"""A workspace that several tests share, with a cluster, models and a script."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelport import InferenceConfig, Model, Webservice, Workspace
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.usecases import run_service

SCRIPT = """
import json
import os
import time


def init():
    global answer
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        answer = file.read()
    print("init of", answer)


def run(raw_data):
    data = json.loads(raw_data)
    if data == "environment":
        return dict(os.environ)
    if isinstance(data, dict):
        time.sleep(data["sleep"])
    if data == "raise":
        raise ValueError("raised as asked")
    return answer
"""


class CloudBench:
    """Deploys the script with a model of one word."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace.create("ws", location="westeurope", show_output=False)
        self.source = folder / "source_directory"
        self.source.mkdir()
        self.write(SCRIPT)
        self.cluster = ComputeTarget.create(self.workspace, "my-aks", AksCompute.provisioning_configuration())

    def write(self, script: str) -> None:
        (self.source / "score.py").write_text(textwrap.dedent(script))

    @property
    def script(self) -> InferenceConfig:
        return InferenceConfig(entry_script="score.py", source_directory=str(self.source))

    def model(self, word: str) -> Model:
        path = self.folder / "model.txt"
        path.write_text(word)
        return Model.register(self.workspace, str(path), "answer")

    def deploy(self, name: str, word: str, configuration: object, **more: object) -> Webservice:
        service = Model.deploy(
            self.workspace,
            name,
            [self.model(word)],
            self.script,
            configuration,  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )
        service.wait_for_deployment()
        return service


@contextmanager
def open_bench(folder: Path) -> Iterator[CloudBench]:
    """With a MODELPORT_HOME of its own; what is left in it is deleted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELPORT_HOME", str(folder / "home"))
        patch.delenv("MODELPORT_DATABASE_URL", raising=False)
        bench = CloudBench(folder)
        try:
            yield bench
        finally:
            for name in [service.name for service in bench.workspace.webservices.values()]:
                run_service.delete(bench.workspace.context, name)
            bench.workspace.registry.close()

"""Real workspaces, real services: each test has its own MODELPORT_HOME, and every service it leaves is deleted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from modelport.usecases import run_service

SCRIPT = """
import json
import os


def init():
    global answer
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        answer = file.read()
    print("init of", answer)


def run(raw_data):
    return {"model": answer, "data": json.loads(raw_data)}
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    ws = Workspace.create("ws", subscription_id="sub", resource_group="group", show_output=False)
    yield ws
    for name in ws.webservices:
        run_service.delete(ws.context, name)
    ws.registry.close()


class Deployer:
    """Writes scripts and models, and deploys them."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.source = folder / "source_directory"
        self.source.mkdir()

    def script(self, text: str = SCRIPT, name: str = "score.py") -> Path:
        path = self.source / name
        path.write_text(textwrap.dedent(text))
        return path

    def model(self, content: str = "first", name: str = "answer") -> Model:
        path = self.source.parent / "model.txt"
        path.write_text(content)
        return Model.register(self.workspace, str(path), name)

    def config(self) -> InferenceConfig:
        return InferenceConfig(entry_script="score.py", source_directory=str(self.source))

    def deploy(self, name: str = "svc", script: str = SCRIPT, models: list[Model] | None = None) -> Webservice:
        self.script(script)
        models = [self.model()] if models is None else models
        return Model.deploy(self.workspace, name, models, self.config(), LocalWebservice.deploy_configuration())


@pytest.fixture
def deployer(workspace: Workspace, tmp_path: Path) -> Deployer:
    return Deployer(workspace, tmp_path)

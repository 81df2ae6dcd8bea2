"""Deploying a model without code, from the command line; the environments are those of the other tests here."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import joblib
import pytest
from sklearn.linear_model import LogisticRegression

from modelport import Workspace

pytestmark = pytest.mark.timeout(600)


@dataclass
class Shell:
    """Types lines in a folder, about a workspace."""

    folder: Path
    home: Path
    workspace: str

    def type(self, line: str, *, code: int = 0) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("modelport")
        environ = {**os.environ, "MODELPORT_HOME": str(self.home)}
        command = [str(program), *shlex.split(line)[1:], "-w", self.workspace]
        ended = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True)
        assert ended.returncode == code, f"{line}\n{ended.stdout}\n{ended.stderr}"
        return ended


@pytest.fixture
def shell(tmp_path: Path, home: Path, shop: Workspace) -> Iterator[Shell]:
    model = LogisticRegression().fit([[0.0, 0.1], [1.0, 0.9], [0.9, 1.0]], ["no", "yes", "yes"])
    joblib.dump(model, tmp_path / "iris.pkl")
    yield Shell(tmp_path, home, shop.name)
    for name, service in shop.webservices.items():
        if name == "iris":
            service.delete()


def test_a_model_alone_is_deployed_updated_and_replaced(shell: Shell) -> None:
    line = """modelport deploy iris.pkl --framework ScikitLearn -o json --input '{"data": [[1, 1]]}'"""
    said = shell.type(line)
    assert "No-code deployment of iris:1: scikit-learn" in said.stderr
    assert "Auto-generated assets for the no-code deployment" in said.stderr
    service = json.loads(said.stdout)
    assert service["prediction"]["predict_proba"][0][1] > 0.5
    assert service["batching"] is not None

    shell.type("modelport model register -n iris -p iris.pkl --framework ScikitLearn")
    assert "iris-2" in shell.type("modelport service update -n iris -m iris:2").stderr
    answer = httpx.post(service["scoringUri"], json={"data": [[-9, -9]], "method": "predict"}, trust_env=False)
    assert answer.json() == {"predict": ["no"]}

    (shell.folder / "score.py").write_text("def init(): pass\ndef run(data): return 'mine'")
    shell.type("modelport model deploy -n iris -m iris:2 --es score.py --overwrite")
    shown = json.loads(shell.type("modelport service show -n iris").stdout)
    assert shown["batching"] is None
    assert httpx.post(shown["scoringUri"], json={}, trust_env=False).json() == "mine"


def test_what_cannot_be_deployed_so_says_why(shell: Shell) -> None:
    (shell.folder / "iris.pkl").rename(shell.folder / "model.onnx")
    said = shell.type("modelport deploy model.onnx", code=1)
    assert "no ONNX model" in said.stderr
    assert "it looks like a pickle" in said.stderr
    said = shell.type("modelport deploy model.onnx --python 3.8", code=1)
    assert "--python and --conda-file need a script" in said.stderr
    (shell.folder / "weights.bin").write_text("?")
    shell.type("modelport model register -n weights -p weights.bin --framework Custom")
    said = shell.type("modelport model deploy -n svc-weights -m weights:1", code=1)
    assert "'Custom', of which nothing can be deployed without an entry script" in said.stderr

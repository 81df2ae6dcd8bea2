"""``modelport package`` and ``modelport model package``."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Call


@pytest.mark.parametrize("command", ["package", "model package"])
def test_a_folder_that_builds_an_image(shop: Call, command: str) -> None:
    shop("model register -n factor -p factor.json")
    Path("conda.yml").write_text("dependencies:\n- pip:\n  - azureml-defaults\n")
    Path("ic.json").write_text('{"entryScript": "score.py", "runtime": "python", "condaFile": "conda.yml"}')
    said = shop(f"{command} -m factor:1 --ic ic.json --output-path out -in demo --no-wait")
    assert said.json["location"] == str(Path("out").absolute())
    assert said.json["modelIds"] == ["factor:1"]
    assert "docker build -t demo out" in said.stderr
    assert Path("out/azureml-models/factor/1/factor.json").read_text() == "2"
    assert Path("out/Dockerfile").read_text().startswith("# demo, packaged by Modelport. Models: factor:1.")
    assert "needs an environment" in shop(f"{command} -m factor:1 --es score.py --output-path out", code=1).stderr


def test_an_image_needs_an_engine(shop: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    Path("conda.yml").write_text("dependencies:\n- pip:\n  - azureml-defaults\n")
    said = shop("package --es score.py --cf conda.yml", code=1)
    assert "none answers on this machine" in said.stderr

"""``modelport package`` and ``modelport model package``."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from modelport.images import Platform

from ..images.made_of_files import DEBIAN, debian, write_tar
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


def test_an_image_is_written_without_an_engine(shop: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    base = debian(tmp_path)
    shop("model register -n factor -p factor.json")
    Path("conda.yml").write_text("dependencies:\n- pip:\n  - azureml-defaults\n")
    said = shop(f"package -m factor:1 --es score.py --cf conda.yml --base {base} --image-output out/line.tar -in line")
    assert said.json["location"] == str(Path("out/line.tar").absolute())
    assert "docker load --input out/line.tar" in said.stderr
    assert "Layer models" in said.stderr
    with tarfile.open("out/line.tar") as archive:
        assert {"manifest.json", "index.json", "oci-layout"} <= set(archive.getnames())
    said = shop(f"package -m factor:1 --es score.py --cf conda.yml --base {base}")
    assert "No container engine answers on this machine. The image is an OCI layout in" in said.stderr
    said = shop(f"package -m factor:1 --es score.py --cf conda.yml --base {base} --push 127.0.0.1:1/Line", code=1)
    assert "is no name of an image" in said.stderr


def test_an_archive_is_for_the_platform_that_is_asked_for(
    shop: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "arm64" if Platform.of_this_machine() == Platform("amd64") else "amd64"
    engine = tmp_path / "engine"
    engine.write_text(f'#!/bin/sh\n[ "$1" = load ] && cp "$3" {tmp_path}/loaded.tar || true\n')
    engine.chmod(0o755)
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", str(engine))
    content = {path.replace("x86_64", Platform(other).machine): data for path, data in DEBIAN.items()}
    base = write_tar(tmp_path / "base.tar", content)
    shop("model register -n factor -p factor.json")
    Path("conda.yml").write_text("dependencies:\n- pip:\n  - azureml-defaults\n")
    package = f"package -m factor:1 --es score.py --cf conda.yml --base {base}"
    shop(f"{package} --platform linux/{other} --image-output line.tar")
    shop(f"{package} --platform {other}")
    for file in (Path("line.tar"), tmp_path / "loaded.tar"):
        with tarfile.open(file) as archive:
            (row,) = json.loads(_member(archive, "manifest.json"))
            assert json.loads(_member(archive, row["Config"]))["architecture"] == other
    said = shop(f"{package} --platform arm64 --platform amd64 --image-output both.tar", code=1)
    assert "holds the image for one platform, and 2 are asked for: linux/arm64, linux/amd64" in said.stderr
    assert "Layer" not in said.stderr, "nothing was built"


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_what_does_not_go_together(shop: Call) -> None:
    said = shop("package --es score.py --output-path out --push registry.example/line", code=1)
    assert "--push, --platform, --base and --pythons have no meaning with it" in said.stderr
    assert (
        "No image can be made for the platform 'windows'"
        in shop("package --es score.py --platform windows", code=1).stderr
    )

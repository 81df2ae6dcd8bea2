"""Images that a container engine of another machine is given."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from modelport.composition.containers import _image_builder
from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Silent

from .made_of_files import DEBIAN, make_bundle, write_tar


def test_it_is_made_for_the_engines_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_tar(tmp_path / "arm.tar", {path.replace("x86_64", "aarch64"): data for path, data in DEBIAN.items()})
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(base))
    build = _image_builder("ws", tmp_path / "home", Silent())
    image = build("line", make_bundle(tmp_path), "arm64")
    image.write("localhost/line:1", tmp_path / "line.tar", frozenset())
    with tarfile.open(tmp_path / "line.tar") as archive:
        file = archive.extractfile(f"blobs/{image.config_digest.replace(':', '/')}")
        assert file is not None and json.load(file)["architecture"] == "arm64"
    with pytest.raises(UserErrorException, match="No image can be made for the platform 'riscv64'"):
        build("line", make_bundle(tmp_path), "riscv64")

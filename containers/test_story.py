"""The notebook of a container instance, as it was written for v1, with a real engine behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stories.conftest import Desk
from stories.notebooks import run_cells
from stories.test_v1_aci import DEPLOYING
from stories.v1_cells import BEGINNING, CLIENT, CONFIG

from containers.bases import base_archive
from containers.engines import Engine


@pytest.fixture
def desk(engine: Engine, image_cache: Path, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.home.mkdir()
    (desk.home / "images").symlink_to(image_cache)
    desk.environ["MODELPORT_CONTAINER_ENGINE"] = engine.address
    desk.environ["MODELPORT_BASE_IMAGE"] = str(base_archive())
    # As on a developer's machine that has an engine: nobody says where container instances are to run.
    desk.environ.pop("MODELPORT_ACI", None)
    try:
        yield desk
    finally:
        desk.clean_up()


def test_a_tutorial(engine: Engine, desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    said = run_cells(desk, f"{BEGINNING}# %%{CLIENT}{DEPLOYING}".lstrip())
    deploying, scored, _, log, keyed, updated, _, listed, deleted = said[5:]
    assert f"runs in a container of the engine at {engine.address}, with 1 replica" in deploying
    assert "The container's limits: cpu 1, memory 1 GB." in deploying
    assert deploying.endswith("Healthy")
    assert scored == "[2, 4, 6] Expecting value: line 1 column 1 (char 0)"
    assert "revision 1 starts from" in log
    assert keyed.splitlines()[-3:-1] == ["401", "[2, 4] [2, 4] [2, 4, 6]"]
    assert updated.splitlines()[-1] == "['line:2'] [3, 6, 9]"
    assert json.loads(listed.splitlines()[0]) == {"my-aci-service": ["ACI", "Healthy"]}
    assert deleted == "Deleting {}"
    assert "modelport" not in engine.says("ps", "--all", "--format", "{{.Names}}")

from __future__ import annotations

from pathlib import Path

import pytest

from driving import App
from interpreters import VERSIONS, interpreter_or_skip, make_environment


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each of the Pythons, bare."""
    version: str = request.param
    return interpreter_or_skip(version)


@pytest.fixture
def app(tmp_path: Path) -> App:
    root = tmp_path / "app"
    root.mkdir()
    return App(root)


@pytest.fixture(scope="session")
def old_environment(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python 3.6 with the schema package of 2019."""
    folder = tmp_path_factory.mktemp("py36") / "env"
    return make_environment(folder, version="3.6", requirements=["numpy", "inference-schema==1.0.2", "orjson"])

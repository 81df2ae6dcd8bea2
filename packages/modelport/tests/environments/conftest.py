from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport.environments.venv import VenvEnvironments

from .local_wheels import RecordedProgress, make_wheel


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The wheels that tests make do not stay in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv-cache")))
        yield


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with the packages ``mp_one`` 1.0 and 2.0, and ``mp_two`` 1.0, which needs ``mp_one<2``."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "mp_one", "1.0")
    make_wheel(folder, "mp_one", "2.0")
    make_wheel(folder, "mp_two", "1.0", requires=["mp_one<2"])
    return folder


@pytest.fixture
def venvs(tmp_path: Path) -> VenvEnvironments:
    return VenvEnvironments(tmp_path / "home")


@pytest.fixture
def progress() -> RecordedProgress:
    return RecordedProgress()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken and not listened to: a connection is refused, and nobody else gets it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])

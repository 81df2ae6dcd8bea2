from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_wheels import RecordedProgress, make_wheel

from modelport.environments.venv import VenvEnvironments


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

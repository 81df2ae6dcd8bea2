"""Which Python a package runs on without being built: asked of an index that is a folder."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.interpreters import installed_versions
from modelport.environments.wheels import Wheels

from .local_wheels import RecordedProgress, make_wheel


def make_compiled(folder: Path, tag: str) -> Path:
    """A wheel of mp_one 1.0 that says that it is compiled for a Python, as ``cp310``."""
    wheel = make_wheel(folder, "mp_one", "1.0")
    return wheel.rename(folder / f"mp_one-1.0-{tag}-{tag}-manylinux_2_17_{platform.machine()}.whl")


HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.delenv("UV_CONSTRAINT", raising=False)
    return folder


def ask(tmp_path: Path, requirement: str, progress: RecordedProgress) -> str:
    return Wheels(DiskCache(tmp_path / "cache"), tmp_path / "pythons").python_for(requirement, progress=progress)


def test_this_programs_own_python_comes_first(index: Path, tmp_path: Path, progress: RecordedProgress) -> None:
    make_wheel(index, "mp_one", "1.0")
    assert ask(tmp_path, "mp_one==1.0", progress) == HERE


def test_else_the_newest_that_has_a_wheel(index: Path, tmp_path: Path, progress: RecordedProgress) -> None:
    older = [version for version in installed_versions(tmp_path) if version.split(".")[:2] < HERE.split(".")]
    minors = [".".join(version.split(".")[:2]) for version in older if int(version.split(".")[1]) < 11]
    if not minors:
        pytest.skip("no older Python is installed")
    make_compiled(index, "cp" + minors[0].replace(".", ""))
    assert ask(tmp_path, "mp_one==1.0", progress) == minors[0]


def test_a_python_that_is_not_here_is_named_and_taken_where_it_may_be_downloaded(
    index: Path, tmp_path: Path, progress: RecordedProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_compiled(index, "cp315")
    with pytest.raises(EnvironmentException, match=r"mp_one==1\.0 has wheels for Python 3\.15") as caught:
        ask(tmp_path, "mp_one==1.0", progress)
    assert "3.15" in caught.value.hint
    assert "has a wheel of mp_one==1.0: looking for one" in progress.steps[0]
    monkeypatch.setenv("MODELPORT_PYTHON_DOWNLOADS", "automatic")
    assert ask(tmp_path, "mp_one==1.0", progress) == "3.15"


def test_a_version_that_is_nowhere_is_no_matter_of_pythons(
    index: Path, tmp_path: Path, progress: RecordedProgress
) -> None:
    make_wheel(index, "mp_one", "1.0")
    with pytest.raises(ResolutionFailed, match=r"there is no version of mp-one==9"):
        ask(tmp_path, "mp_one==9", progress)
    assert progress.steps == []


def test_the_answer_is_kept(index: Path, tmp_path: Path, progress: RecordedProgress) -> None:
    wheel = make_wheel(index, "mp_one", "1.0")
    ask(tmp_path, "mp_one==1.0", progress)
    wheel.unlink()
    assert ask(tmp_path, "mp_one==1.0", progress) == HERE

"""Pythons that Modelport gets: from a channel made on the spot; and what is said where none can be had."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from modelport.domain.errors import EnvironmentException
from modelport.environments.disk_cache import DiskCache
from modelport.environments.interpreters import PYTHONS, Interpreters, installed_versions
from modelport.environments.python_installation import PythonInstaller, downloads_allowed
from modelport.environments.python_request import PythonRequest, requested_python

from .conda_channel import MINOR, ChannelOnDisk
from .local_wheels import RecordedProgress


@pytest.fixture
def channel(tmp_path: Path) -> ChannelOnDisk:
    made = ChannelOnDisk(tmp_path / "channel")
    # as a real one, and unlike add_python's, it is no virtual environment
    home = Path(sys.base_exec_prefix) / "bin"
    links = {f"bin/{name}": str(home / f"python{MINOR}") for name in ("python", "python3", f"python{MINOR}")}
    made.add("python", platform.python_version(), files={"share/README": "x\n"}, links=links)
    made.index()
    return made


@pytest.fixture
def installer(tmp_path: Path) -> PythonInstaller:
    return PythonInstaller(tmp_path / "home" / PYTHONS)


def test_a_python_of_a_channel_is_found_afterwards(
    installer: PythonInstaller, channel: ChannelOnDisk, progress: RecordedProgress, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    found = installer.install(MINOR, channels=[channel.url], progress=progress)
    assert found.version == platform.python_version()
    folder = tmp_path / "home" / PYTHONS
    place = folder / f"conda-{platform.python_version()}"
    assert Path(found.path).is_relative_to(place)
    assert [entry.name for entry in folder.iterdir() if not entry.name.startswith(".modelport")] == [place.name]
    again = installer.install(platform.python_version(), channels=[channel.url], progress=progress)
    assert again == found

    # nothing else is on the path: only the folder has it
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr("sys.base_exec_prefix", str(tmp_path))
    assert platform.python_version() in installed_versions(folder)
    interpreters = Interpreters(DiskCache(tmp_path / "cache"), folder)
    assert interpreters.find(requested_python([f"python={MINOR}"]))[0].version == platform.python_version()
    assert platform.python_version() not in installed_versions(tmp_path / "empty")


def test_what_each_place_answered_and_what_else_to_try(installer: PythonInstaller, progress: RecordedProgress) -> None:
    # a version that nobody has: with a network or without, both places refuse
    with pytest.raises(EnvironmentException, match=r"Python 3\.99 cannot be downloaded") as caught:
        installer.install("3.99", progress=progress)
    assert "\nuv: " in caught.value.message and "\nconda: " in caught.value.message
    for way in ("UV_PYTHON_INSTALL_MIRROR", "--channel", "pyenv install 3.99", "python3.99"):
        assert way in caught.value.hint


def test_a_channel_that_does_not_answer(
    installer: PythonInstaller, closed_port: int, progress: RecordedProgress
) -> None:
    with pytest.raises(EnvironmentException, match="conda: The conda channel http://127") as caught:
        installer.install("3.6", channels=[f"http://127.0.0.1:{closed_port}/c"], progress=progress)
    assert "uv: " not in caught.value.message, "only the named channel is asked"


@pytest.mark.parametrize(("version", "words"), [("2.7", "3.6 and newer"), ("three", "no version"), ("3", "no version")])
def test_a_version_that_makes_no_sense(
    version: str, words: str, installer: PythonInstaller, progress: RecordedProgress
) -> None:
    with pytest.raises(EnvironmentException, match=words):
        installer.install(version, progress=progress)


def test_a_missing_python_is_installed_if_that_is_set(
    tmp_path: Path, progress: RecordedProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreters = Interpreters(DiskCache(tmp_path / "cache"), tmp_path / PYTHONS)
    request = PythonRequest("python=3.99.1", "3.99.1", "3.99")
    monkeypatch.delenv("MODELPORT_PYTHON_DOWNLOADS", raising=False)
    with pytest.raises(EnvironmentException, match="this machine has no such Python") as caught:
        interpreters.find(request, progress=progress)
    assert "modelport environment install-python 3.99" in caught.value.hint
    assert progress.steps == []
    monkeypatch.setenv("MODELPORT_PYTHON_DOWNLOADS", "automatic")
    with pytest.raises(EnvironmentException, match="cannot be downloaded"):
        interpreters.find(request, progress=progress)
    assert any("Python 3.99" in step for step in progress.steps)


def test_the_words_of_the_setting() -> None:
    assert downloads_allowed({}) is False
    assert downloads_allowed({"MODELPORT_PYTHON_DOWNLOADS": "Automatic"}) is True
    with pytest.raises(EnvironmentException, match="never, automatic"):
        downloads_allowed({"MODELPORT_PYTHON_DOWNLOADS": "yes"})

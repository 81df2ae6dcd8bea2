"""Conda packages where no channel answers: wheels do, or it is said what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind
from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.environments.chooser import LocalEnvironments

from .conda_channel import MINOR, SITE_PACKAGES, ChannelOnDisk
from .local_wheels import RecordedProgress, definition, make_wheel

_VARIABLE = "MODELPORT_CONDA_PACKAGES"


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEnvironments:
    monkeypatch.delenv(_VARIABLE, raising=False)
    return LocalEnvironments(tmp_path / "home")


@pytest.fixture
def index(tmp_path: Path) -> tuple[str, str]:
    """Lines of a pip list that take everything from a folder, which has ``six`` 1.0 and 2.0."""
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "wheels", "six", version)
    return ("--no-index", f"--find-links {tmp_path / 'wheels'}")


@pytest.fixture
def asked(closed_port: int, index: tuple[str, str]) -> EnvironmentDefinition:
    channel = f"http://127.0.0.1:{closed_port}/channel"
    return definition(index, packages=[f"python={MINOR}", "six=1.0", "nomkl"], channels=[channel])


def _six(environments: LocalEnvironments, made: EnvironmentDefinition, progress: RecordedProgress) -> str:
    interpreter = environments.materialise(environments.resolve(made, progress=progress), progress=progress)
    code = [*interpreter.command, "-I", "-c", "import six;print(six.VERSION)"]
    return subprocess.run(code, capture_output=True, text=True, check=True).stdout.strip()


def test_wheels_serve_where_no_channel_answers(
    environments: LocalEnvironments, asked: EnvironmentDefinition, progress: RecordedProgress, closed_port: int
) -> None:
    lock = environments.resolve(asked, progress=progress)
    assert lock.kind is EnvironmentKind.VENV
    assert "six==1.0\n" in lock.text
    assert f"The conda channel http://127.0.0.1:{closed_port}/channel cannot be reached" in lock.notes[0]
    assert "six=1.0 as six==1.0.*" in lock.notes[0]
    assert lock.notes[1].startswith("nomkl is not installed")
    assert _six(environments, asked, progress) == "1.0"


def test_that_wheels_had_to_do_is_kept(
    environments: LocalEnvironments, asked: EnvironmentDefinition, progress: RecordedProgress, tmp_path: Path
) -> None:
    first = environments.resolve(asked, progress=progress)
    make_wheel(tmp_path / "wheels", "six", "1.0.1")
    steps = list(progress.steps)
    assert environments.resolve(asked, progress=progress) == first
    assert progress.steps == steps, "nobody is asked again"
    environments.forget(asked)
    assert "six==1.0.1\n" in environments.resolve(asked, progress=progress).text


def test_a_package_that_is_not_known_on_pypi_is_named(
    environments: LocalEnvironments, closed_port: int, progress: RecordedProgress
) -> None:
    channel = f"http://127.0.0.1:{closed_port}/channel"
    with pytest.raises(ResolutionFailed, match="cannot be reached") as caught:
        environments.resolve(definition(packages=["six", "r-base=3.6"], channels=[channel]), progress=progress)
    assert "r-base=3.6" in caught.value.hint
    assert "six" not in caught.value.hint


def test_a_misspelt_package_is_told_with_its_place_and_the_name_that_was_meant(
    environments: LocalEnvironments,
    closed_port: int,
    progress: RecordedProgress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "env.yml"
    source.write_text("dependencies:\n- python\n- scikit-lern=1.5\n- r-base\n", encoding="utf-8")
    channel = f"http://127.0.0.1:{closed_port}/channel"
    made = definition(packages=["python", "scikit-lern=1.5", "r-base"], channels=[channel], source=source)
    listed = f"  scikit-lern=1.5 ({source}:3) Did you mean scikit-learn?\n  r-base ({source}:4)\n"
    with pytest.raises(ResolutionFailed) as caught:
        environments.resolve(made, progress=progress)
    assert listed in caught.value.hint
    monkeypatch.setenv(_VARIABLE, "wheels")
    with pytest.raises(EnvironmentException) as refused:
        environments.resolve(made, progress=progress)
    assert listed in f"{refused.value.message}\n"


def test_channels_only(
    environments: LocalEnvironments,
    asked: EnvironmentDefinition,
    progress: RecordedProgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(_VARIABLE, "channels")
    with pytest.raises(ResolutionFailed, match="cannot be reached"):
        environments.resolve(asked, progress=progress)


def test_wheels_only_asks_no_channel(
    environments: LocalEnvironments, index: tuple[str, str], tmp_path: Path, progress: RecordedProgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    channel = ChannelOnDisk(tmp_path / "channel")
    channel.add_python()
    channel.add("six", "3.0", files={f"{SITE_PACKAGES}/six.py": "VERSION = '3.0'\n"}, depends=["python"])
    channel.index()
    made = definition(index, packages=[f"python={MINOR}", "six"], channels=[channel.url])
    assert _six(environments, made, progress) == "3.0"
    monkeypatch.setenv(_VARIABLE, "wheels")
    assert _six(environments, made, progress) == "2.0"
    make_wheel(tmp_path / "wheels", "six", "2.5")
    environments.forget(made)
    assert _six(environments, made, progress) == "2.5"
    with pytest.raises(EnvironmentException, match=r"(?s)asks for wheels.*: *\n  openjdk "):
        environments.resolve(definition(packages=["openjdk"]), progress=progress)


def test_a_word_that_is_none(environments: LocalEnvironments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_VARIABLE, "perhaps")
    with pytest.raises(EnvironmentException, match="MODELPORT_CONDA_PACKAGES is 'perhaps'") as caught:
        environments.resolve(definition(packages=["six"]), progress=RecordedProgress())
    assert "auto, channels, wheels" in caught.value.hint


def test_a_version_that_no_wheel_has_leads_back_to_the_conda_file(
    environments: LocalEnvironments, index: tuple[str, str], tmp_path: Path, progress: RecordedProgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(_VARIABLE, "wheels")
    source = tmp_path / "env.yml"
    source.write_text("dependencies:\n- python\n- six=9\n", encoding="utf-8")
    with pytest.raises(ResolutionFailed) as caught:
        environments.resolve(definition(index, packages=["python", "six=9"], source=source), progress=progress)
    assert f"{source}:3: six=9" in caught.value.message

"""Real conda prefixes by rattler, from a channel that is made on the spot."""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
from pathlib import Path

import pytest

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind
from modelport.domain.errors import ResolutionFailed
from modelport.environments.conda import CondaEnvironments

from .conda_channel import MINOR, SITE_PACKAGES, ChannelOnDisk
from .local_wheels import RecordedProgress, definition, make_wheel


@pytest.fixture
def channel(tmp_path: Path) -> ChannelOnDisk:
    made = ChannelOnDisk(tmp_path / "channel")
    made.add_python()
    for version in ("1.0", "2.0"):
        text = f"VERSION = {version!r}\n"
        made.add("mp-tool", version, files={f"{SITE_PACKAGES}/mp_tool.py": text}, depends=["python"])
    made.add("mp-needy", "1.0", files={"share/needy.txt": "x\n"}, depends=["mp-tool <2"])
    made.index()
    return made


@pytest.fixture
def conda(tmp_path: Path) -> CondaEnvironments:
    return CondaEnvironments(tmp_path / "home")


def _asks(channel: ChannelOnDisk, *packages: str, pip: tuple[str, ...] = ()) -> EnvironmentDefinition:
    return definition(pip, packages=packages, channels=[channel.url])


def test_conda_packages_and_pip_requirements_together(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "wheels", "mp_one", "1.0")
    pip = ("--no-index", f"--find-links {tmp_path / 'wheels'}", "mp_one", "azureml-defaults")
    lock = conda.resolve(_asks(channel, f"python={MINOR}", "mp-needy", pip=pip), progress=progress)
    assert lock.kind is EnvironmentKind.CONDA
    assert lock.python_version == platform.python_version()
    content = json.loads(lock.text)
    assert [(record["name"], record["version"]) for record in content["packages"]] == [
        ("mp-needy", "1.0"),
        ("mp-tool", "1.0"),
        ("python", platform.python_version()),
    ]
    assert all(record["sha256"] and record["url"].startswith(channel.url) for record in content["packages"])
    assert content["pip"][-1].replace("_", "-") == "mp-one==1.0"
    assert [note.split()[0] for note in lock.notes] == ["azureml-defaults"]

    interpreter = conda.materialise(lock, progress=progress)
    code = "import sys,mp_tool,mp_one;print(sys.prefix, mp_tool.VERSION, mp_one.VERSION)"
    said = subprocess.run([*interpreter.command, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(Path(interpreter.command[0]).parent.parent), "1.0", "1.0"]


def test_a_resolution_is_kept_when_the_channel_grows(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    made = _asks(channel, "python", "mp-tool")
    first = conda.resolve(made, progress=progress)
    channel.add("mp-tool", "3.0", files={f"{SITE_PACKAGES}/mp_tool.py": "VERSION = '3.0'\n"}, depends=["python"])
    channel.index()
    assert conda.resolve(made, progress=progress) == first
    conda.forget(made)
    assert conda.resolve(made, progress=progress).digest != first.digest


def test_what_is_built_is_used_again(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    lock = conda.resolve(_asks(channel, "python", "mp-tool=1.0"), progress=progress)
    commands = {conda.materialise(lock, progress=progress).command for _ in range(2)}
    assert len(commands) == 1
    assert sum("Installing" in step for step in progress.steps) == 1


def test_without_a_python_one_is_added_and_noted(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    lock = conda.resolve(_asks(channel, "mp-tool"), progress=progress)
    assert any("No Python is named" in note for note in lock.notes)


def test_it_works_where_an_event_loop_runs_already(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    async def notebook_cell() -> str:
        return conda.resolve(_asks(channel, "mp-tool"), progress=progress).python_version

    assert asyncio.run(notebook_cell()) == platform.python_version()


def test_packages_that_exclude_each_other_are_named_with_their_lines(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress, tmp_path: Path
) -> None:
    source = tmp_path / "env.yml"
    source.write_text("dependencies:\n- python\n- mp-needy\n- mp-tool=2.0\n", encoding="utf-8")
    made = definition(packages=["python", "mp-needy", "mp-tool=2.0"], channels=[channel.url], source=source)
    with pytest.raises(ResolutionFailed) as caught:
        conda.resolve(made, progress=progress)
    assert f"{source}:3: mp-needy" in caught.value.message
    assert f"{source}:4: mp-tool=2.0" in caught.value.message
    assert "mp-tool" in caught.value.hint or "mp-needy" in caught.value.hint


def test_a_package_that_no_channel_has_is_named(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress, tmp_path: Path
) -> None:
    source = tmp_path / "env.yml"
    source.write_text("dependencies:\n- python\n- mp-tol>=1\n- mp-needy\n", encoding="utf-8")
    made = definition(packages=["python", "mp-tol>=1", "mp-needy"], channels=[channel.url], source=source)
    with pytest.raises(ResolutionFailed) as caught:
        conda.resolve(made, progress=progress)
    first, _, rest = caught.value.message.partition("\n")
    assert first == f"The channels {channel.url} have no package 'mp-tol'."
    assert f"{source}:3: mp-tol>=1" in rest
    assert f"{source}:4" not in rest
    assert f"Check the spelling of 'mp-tol>=1' ({source}:3). Did you mean mp-tool?" in caught.value.hint
    with pytest.raises(ResolutionFailed, match="have no package 'zzz'") as caught:
        conda.resolve(_asks(channel, "python", "zzz"), progress=progress)
    assert "Did you mean" not in caught.value.hint


def test_a_version_that_no_channel_has_is_named(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    with pytest.raises(ResolutionFailed, match="mp-tool") as caught:
        conda.resolve(_asks(channel, "python", "mp-tool=99"), progress=progress)
    assert "Change 'mp-tool=99' (the conda packages) to a version that the channels have" in caught.value.hint


def test_a_specification_that_is_none_is_named(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    with pytest.raises(ResolutionFailed, match="not a conda package specification"):
        conda.resolve(_asks(channel, "python", "mp-tool=>1=!"), progress=progress)


@pytest.mark.parametrize("address", ["http://user:secret@127.0.0.1:{port}/channel", "file:///nowhere/at/all"])
def test_a_channel_that_cannot_be_reached_is_named(
    address: str, conda: CondaEnvironments, progress: RecordedProgress, closed_port: int
) -> None:
    address = address.format(port=closed_port)
    made = definition(packages=["python", "numpy"], channels=[address])
    with pytest.raises(ResolutionFailed) as caught:
        conda.resolve(made, progress=progress)
    assert f"The conda channel {address.replace('user:secret@', '')} cannot be reached" in caught.value.message
    assert "secret" not in str(caught.value)
    assert "'pip:' need no channel" in caught.value.hint


def test_pip_requirements_that_fail_name_their_place(
    conda: CondaEnvironments, channel: ChannelOnDisk, progress: RecordedProgress
) -> None:
    with pytest.raises(ResolutionFailed, match=r"entry 2 of the pip list: mp_none"):
        conda.resolve(_asks(channel, "python", "mp-tool", pip=("--no-index", "mp_none")), progress=progress)

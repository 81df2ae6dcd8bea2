"""The extension without ``az``: the table of commands, and the program that runs them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from azext_modelport import program
from azext_modelport.command_table import COMMANDS, GROUPS, Command, Option
from azext_modelport.program import ProgramFailed, ProgramMissing


def option(names: str, kind: str = "value") -> Option:
    return Option(names.split(), kind, "help", False, [])


COMMAND = Command(
    "help",
    "",
    [
        Option([], "words", "help", False, []),
        option("--name -n"),
        option("--tag", "list"),
        option("--no-wait", "switch"),
        option("--auth-enabled --ae", "truth"),
        option("-v", "switch"),
    ],
)


def test_what_was_given_is_handed_on() -> None:
    given = {"name": "-x y", "tag": [["a=b", "c=d"], ["e=f"]], "no_wait": True, "auth_enabled": "false", "v": True}
    assert COMMAND.arguments({**given, "words": ["train.py", "--alpha", "1"]}) == [
        "--name=-x y",
        *("--tag=a=b", "--tag=c=d", "--tag=e=f"),
        "--no-wait",
        "--auth-enabled=false",
        "-v",
        *("train.py", "--alpha", "1"),
    ]
    assert COMMAND.arguments({"name": None, "no_wait": False, "tag": None}) == []


def test_every_command_is_in_a_group_and_has_a_help_text() -> None:
    assert {name.rpartition(" ")[0] for name in COMMANDS} <= set(GROUPS)
    assert [name for name, command in COMMANDS.items() if not command.help] == []
    for name, command in COMMANDS.items():
        destinations = [each.destination for each in command.options]
        assert len(destinations) == len(set(destinations)), name


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_program_is_what_is_configured_or_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    there = executable(tmp_path / "bin/az-ml", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert program.find(None) == there
    other = executable(tmp_path / "other", "exit 0")
    assert program.find(other) == other
    with pytest.raises(ProgramMissing, match=r"az config set modelport\.az_ml=/path/to/az-ml"):
        program.find(str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ProgramMissing, match="pip install modelport"):
        program.find(None)


def test_its_json_is_returned_and_its_code_raised(tmp_path: Path) -> None:
    echo = executable(tmp_path / "echo", """printf '{"said": "%s"}' "$*" """)
    assert program.run(echo, ["model", "list"]) == {"said": "model list --output json"}
    assert program.run(executable(tmp_path / "silent", "exit 0"), []) is None
    with pytest.raises(ProgramFailed) as caught:
        program.run(executable(tmp_path / "failing", "exit 3"), [])
    assert caught.value.code == 3
    (tmp_path / "text").write_text("no program")
    with pytest.raises(ProgramMissing, match="cannot be run"):
        program.run(str(tmp_path / "text"), [])

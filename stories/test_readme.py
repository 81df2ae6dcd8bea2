"""The README, typed as it is printed, by somebody in an empty folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .conftest import Desk

README = Path(__file__).parents[1] / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def _commands(block: str) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.splitlines()]


def test_every_line_of_the_main_job(desk: Desk) -> None:
    script, program, contained = _blocks("python")
    desk.write("score.py", script)
    desk.write("main.py", program + contained + "service.wait_for_deployment()\nservice.delete()\n")
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=desk.folder, env=desk.environ, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    assert "[3.0, 5.0, 7.0]\n" in ended.stdout
    _, deploy, then, _ = _blocks("sh")
    assert "[3.0, 5.0, 7.0]" in desk.run(deploy).stdout
    for command in _commands(then):
        desk.run(command)
    assert desk.run("modelport service list").json == []

"""Black-box stories: what a user types into the installed ``modelport`` command, and what comes back.

Each story has a desk of its own: an empty folder to work in and an empty MODELPORT_HOME. Whatever a story leaves
running is ended with it, also where it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring import supervisor_pid


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Desk:
    """A folder to work in, with the command at hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.home = folder / "home"
        self.folder.mkdir()
        self.environ = {**os.environ, "MODELPORT_HOME": str(self.home), "COLUMNS": "100"}
        # without caches of compiled modules every command would take seconds to start
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def write(self, name: str, text: str) -> Path:
        """A file in the folder, its text without the indentation of the story."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def run(self, line: str, *, code: int = 0, stdin: str | None = None) -> Said:
        """Type the line; it must end with that exit code, and never with a bare traceback of ours."""
        ended = subprocess.run(
            _words(line),
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )
        said = Said(ended.stdout, ended.stderr, ended.returncode)
        assert said.code == code, f"{line}\nended with {said.code}, not {code}\n{said.stdout}\n{said.stderr}"
        assert "site-packages/typer" not in said.stderr, said.stderr
        assert "inside Modelport" not in said.stderr, said.stderr
        return said

    def start(self, line: str) -> subprocess.Popen[str]:
        """Type the line and do not wait for its end."""
        return subprocess.Popen(
            _words(line), cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def environ_with_command(self) -> dict[str, str]:
        """For a shell that finds the command ``modelport``."""
        return {**self.environ, "PATH": f"{Path(_program()).parent}{os.pathsep}{self.environ['PATH']}"}

    def supervisor(self, workspace: str, service: str) -> int:
        """Process id of the service's supervisor."""
        pid = supervisor_pid(self.home / "workspaces" / workspace / "services" / service)
        assert pid is not None, f"the service {service} does not run"
        return pid

    def clean_up(self) -> None:
        """End every supervisor below the home with its children, and remove everything."""
        for lock in self.home.glob("workspaces/*/services/*/service.lock"):
            pid = supervisor_pid(lock.parent)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


def _words(line: str) -> list[str]:
    """The words of a line, its first the path of the program."""
    program, *arguments = shlex.split(line)
    return [_program(program), *arguments]


def _program(name: str = "modelport") -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"the command {name} is not installed"
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    try:
        yield desk
    finally:
        desk.clean_up()


SCORE = """
    import json
    import os


    def init():
        global factor
        with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "factor.json")) as file:
            factor = json.load(file)
        print("the factor is", factor)


    def run(data):
        return [value * factor for value in json.loads(data)["data"]]
"""
"""An entry script without dependencies: it multiplies by the number in its model file."""


@pytest.fixture(scope="session")
def shop_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MODELPORT_HOME with the workspace ``shop``, in which ``factor:1`` is registered; to be copied."""
    desk = Desk(tmp_path_factory.mktemp("shop"))
    desk.run("modelport workspace create -w shop")
    desk.write("factor.json", "2")
    desk.run("modelport model register -w shop -n factor -p factor.json")
    return desk.home


@pytest.fixture
def shop(desk: Desk, shop_home: Path) -> Desk:
    """A desk whose folder belongs to the workspace ``shop``, with a model file and an entry script."""
    shutil.copytree(shop_home, desk.home)
    desk.write("config.json", '{"subscription_id": "none", "resource_group": "local", "workspace_name": "shop"}')
    desk.write("factor.json", "2")
    desk.write("score.py", SCORE)
    return desk


@pytest.fixture
def deployed(shop: Desk) -> Desk:
    """The shop with the service ``times`` deployed."""
    shop.run("modelport model deploy -n times -m factor:1 --es score.py")
    return shop

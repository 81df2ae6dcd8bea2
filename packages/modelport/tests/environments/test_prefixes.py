"""What must hold when builders meet, die, and find what dead ones left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelport.domain.environments import Lock
from modelport.domain.errors import EnvironmentException
from modelport.environments.prefixes import MARKER, Prefixes
from modelport.environments.probe import running_base
from modelport.environments.venv import VenvEnvironments

from .local_wheels import RecordedProgress, from_wheels

_BUILDER = """
    import os, pathlib, subprocess, sys, time
    from modelport.domain.environments import EnvironmentKind
    from modelport.domain.progress import Silent
    from modelport.environments.locks import make_lock
    from modelport.environments.prefixes import Prefixes
    from modelport.environments.probe import running_base

    root, builds, gate = map(pathlib.Path, sys.argv[1:])

    def build(folder):
        with builds.open("a") as file:
            file.write("built\\n")
        folder.mkdir()
        (folder / f"half-{os.getpid()}").touch()
        while not gate.exists():
            time.sleep(0.01)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)

    print("started", flush=True)
    lock = make_lock(EnvironmentKind.VENV, running_base(), text="concurrency\\n")
    print(Prefixes(root).ensure(lock, build, progress=Silent()).command[0], flush=True)
"""

Start = Callable[[], "subprocess.Popen[str]"]


def _until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


@pytest.fixture
def code() -> str:
    """What the processes run."""
    return _BUILDER


@pytest.fixture
def start(tmp_path: Path, code: str) -> Iterator[Start]:
    """Starts a process that builds one and the same environment as soon as the file ``gate`` is there."""
    running: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        places = [str(tmp_path / name) for name in ("root", "builds", "gate")]
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *places], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_processes_at_once_build_it_once(tmp_path: Path, start: Start) -> None:
    processes = [start() for _ in range(3)]
    _until((tmp_path / "builds").exists, what="the first builder")
    (tmp_path / "gate").touch()
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert (tmp_path / "builds").read_text(encoding="utf-8") == "built\n"
    (answer,) = answers
    assert subprocess.run([answer, "-c", "pass"]).returncode == 0


def test_what_a_killed_builder_left_is_built_anew(tmp_path: Path, start: Start) -> None:
    killed = start()
    _until(lambda: any(tmp_path.glob("root/*/half-*")), what="the half-built environment")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    (tmp_path / "gate").touch()
    answer = start().communicate(timeout=60)[0].strip()
    assert (tmp_path / "builds").read_text(encoding="utf-8") == "built\nbuilt\n"
    folder = Path(answer).parent.parent
    assert not (folder / f"half-{killed.pid}").exists()
    assert (folder / MARKER).is_file()


_INSTALLING = """
    import pathlib, sys
    from modelport.domain.environments import EnvironmentKind
    from modelport.domain.progress import Silent
    from modelport.environments.locks import make_lock
    from modelport.environments.prefixes import Prefixes
    from modelport.environments.probe import running_base
    from modelport.environments.uv import run_uv

    root = pathlib.Path(sys.argv[1])
    installer = (
        "import pathlib, time, sys\\nbuilds, gate = map(pathlib.Path, sys.argv[1:3])\\n"
        "def tell(text):\\n with builds.open('a') as file: file.write(text)\\n"
        "tell('begins ')\\nwhile not gate.exists(): time.sleep(0.01)\\ntell('ends ')"
    )

    def build(folder):
        print("Building", flush=True)
        run = ("run", "--quiet", "--no-project", "--python", sys.executable, "python", "-c", installer)
        assert run_uv(*run, *sys.argv[2:], cwd=root, indexes=False).succeeded
        assert run_uv("venv", "--quiet", "--python", sys.executable, str(folder), cwd=root, indexes=False).succeeded

    class Told(Silent):
        def step(self, text):
            print(text, flush=True)

    print("started", flush=True)
    Prefixes(root).ensure(make_lock(EnvironmentKind.VENV, running_base(), text="killed"), build, progress=Told())
"""


_COMPILING = """
    import os, pathlib, shlex, sys
    from modelport.environments.venv import compile_packages
""" + _INSTALLING.replace(
    """
        run = ("run", "--quiet", "--no-project", "--python", sys.executable, "python", "-c", installer)
        assert run_uv(*run, *sys.argv[2:], cwd=root, indexes=False).succeeded
""",
    """
        slow = root / "slow-python"
        slow.write_text("#!/bin/sh\\nexec " + shlex.join([sys.executable, "-c", installer, *sys.argv[2:]]))
        slow.chmod(0o755)
        compile_packages(str(slow))
""",
)


@pytest.mark.parametrize("code", [_INSTALLING, _COMPILING], ids=["installing", "compiling"])
def test_an_installer_whose_program_was_killed_is_waited_for(tmp_path: Path, start: Start) -> None:
    builds = tmp_path / "builds"
    killed = start()
    _until(builds.exists, what="the installer")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    try:
        second = start()
        assert second.stdout is not None
        assert second.stdout.readline() == "Waiting for another process that builds the same environment\n"
    finally:
        (tmp_path / "gate").touch()
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert builds.read_text(encoding="utf-8").split() == ["begins", "ends", "begins", "ends"]


@pytest.fixture
def lock(venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path) -> Lock:
    return venvs.resolve(from_wheels(wheels, "mp_one"), progress=progress)


def _works(command: tuple[str, ...]) -> bool:
    return subprocess.run([*command, "-c", "import mp_one"]).returncode == 0


@pytest.mark.parametrize("damage", ["interpreter removed", "interpreter corrupt", "marker removed"])
def test_a_damaged_environment_is_built_anew(
    damage: str, venvs: VenvEnvironments, progress: RecordedProgress, lock: Lock
) -> None:
    command = venvs.materialise(lock, progress=progress).command
    python = Path(command[0])
    if damage == "marker removed":
        (python.parent.parent / MARKER).unlink()
    else:
        python.unlink()
    if damage == "interpreter corrupt":
        python.write_bytes(b"\0not a program")
        python.chmod(0o755)
    (python.parent.parent / "left over").touch()
    assert venvs.materialise(lock, progress=progress).command == command
    assert _works(command)
    assert not (python.parent.parent / "left over").exists()


def test_a_whole_environment_is_left_alone(venvs: VenvEnvironments, progress: RecordedProgress, lock: Lock) -> None:
    command = venvs.materialise(lock, progress=progress).command
    before = Path(command[0]).lstat().st_ctime_ns
    venvs.materialise(lock, progress=progress)
    assert Path(command[0]).lstat().st_ctime_ns == before
    assert sum("Building" in step for step in progress.steps) == 1


def test_an_uninstalled_python_is_reported(
    tmp_path: Path, venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    # A link beside the real one plays the Python that is installed and later is not.
    installed = tmp_path / "installed" / "bin"
    installed.mkdir(parents=True)
    base = Path(running_base().path)
    (installed / base.name).symlink_to(base)
    (installed.parent / "lib").symlink_to(base.parent.parent / "lib")
    resolved = venvs.resolve(from_wheels(wheels, "mp_one"), progress=progress)
    lock = replace(resolved, python=str(installed / base.name))
    venvs.materialise(lock, progress=progress)
    shutil.rmtree(installed.parent)
    marker = tmp_path / "home" / "environments" / lock.digest / MARKER
    marker.unlink()
    with pytest.raises(EnvironmentException, match="is gone") as caught:
        venvs.materialise(lock, progress=progress)
    assert "Install it again" in caught.value.hint


def test_a_failed_build_leaves_nothing_and_says_why(tmp_path: Path, progress: RecordedProgress, lock: Lock) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise EnvironmentException("no packages today")

    with pytest.raises(EnvironmentException, match="no packages today"):
        Prefixes(tmp_path / "fresh").ensure(lock, fail, progress=progress)
    assert [file.name for file in (tmp_path / "fresh").iterdir()] == [f"{lock.digest}.lock"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, progress: RecordedProgress, lock: Lock) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(EnvironmentException, match="taken"):
        Prefixes(tmp_path / "taken").ensure(lock, lambda folder: None, progress=progress)

"""Who holds a service's folder: asked by a program that has hardly a descriptor left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport_scoring.supervision.service_lock import supervisor_pid

HOLD = """
import os, sys
from pathlib import Path
from modelport_scoring.supervision.service_lock import acquire
os.chdir(sys.argv[1])
acquire(Path())
print("held", flush=True)
sys.stdin.read()
"""

ASK = """
import os, resource, sys
from pathlib import Path
from modelport_scoring.supervision import orphans
from modelport_scoring.supervision.service_lock import supervisor_pid
folder, left, asked = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
used = []
while True:
    try:
        used.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
for _ in range(left):
    os.close(used.pop())
try:
    if asked == "whether it lives":
        found = supervisor_pid(folder)
    else:
        found = orphans._is_supervisor(int(asked))
except OSError as error:
    found = error.strerror
for each in used:
    os.close(each)
print(found)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """What holds the folder's lock as its supervisor does."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), "modelport_scoring"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def ask(folder: Path, left: int, asked: str) -> str:
    command = [sys.executable, "-c", ASK, str(folder), str(left), asked]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_want_of_descriptors_is_not_taken_for_the_end_of_a_service(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert supervisor_pid(tmp_path) == holder.pid
    answers = [ask(tmp_path, left, "whether it lives") for left in range(3)]
    assert answers == ["Too many open files", "Too many open files", str(holder.pid)]


def test_nor_is_a_supervisor_taken_for_what_a_script_has_left(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert [ask(tmp_path, left, str(holder.pid)) for left in range(2)] == ["True", "True"]


def test_a_holder_that_has_ended_is_none(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert supervisor_pid(tmp_path) is None

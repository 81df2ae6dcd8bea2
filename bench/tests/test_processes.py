"""A process tree: its cost, and its end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bench.scoring.processes import Launch, ServerProcess

# A child that leads a session of its own, burns a little, and stays.
TREE = """
import subprocess, sys, time
child = "import os, time; os.setsid()\\nwhile time.process_time() < 0.2: pass\\n"
child += "print('burnt', flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
time.sleep(60)
"""


def start(code: str, folder: Path) -> ServerProcess:
    core = min(os.sched_getaffinity(0))
    launch = Launch(command=[sys.executable, "-c", code], variables={}, folder=folder)
    return ServerProcess(launch, core=core, log=folder / "log")


def test_the_whole_tree_is_counted_kept_on_its_core_and_ended(tmp_path: Path) -> None:
    server = start(TREE, tmp_path)
    try:
        deadline = time.monotonic() + 20
        while "burnt" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        tree = server.tree()
        assert len(tree) == 2
        assert {tuple(process.cpu_affinity()) for process in tree} == {(min(os.sched_getaffinity(0)),)}
        assert server.cpu_seconds() >= 0.2
        whole = server.memory(worker_mark="os.setsid()\nwhile")
        assert 0 < whole.server_mib < whole.total_mib
    finally:
        server.stop()
    assert [process for process in tree if process.is_running() and process.status() != "zombie"] == []
    assert server.ended is not None


def test_its_last_words_are_kept(tmp_path: Path) -> None:
    server = start("import sys; print('first'); sys.exit('no such model')", tmp_path)
    server._process.wait(20)
    assert (server.ended, server.last_words) == (1, "no such model")
    server.stop()

"""Notebooks, run as a kernel runs them: cell by cell, in one namespace of a program of their own.

Cells are divided by lines of ``# %%``; ``%%writefile`` is all the magic.
"""

from __future__ import annotations

import subprocess
import sys

from .conftest import Desk

KERNEL = """
import sys
names = {"__name__": "__main__"}
for cell in sys.stdin.read().split("# %%\\n"):
    head, _, body = cell.partition("\\n")
    print("--- cell", flush=True)
    if head.startswith("%%writefile"):
        with open(head.split()[1], "w") as file:
            file.write(body)
    else:
        exec(compile(cell, "<cell>", "exec"), names)
"""


def run_cells(desk: Desk, cells: str) -> list[str]:
    """What each cell printed. A cell that raises fails the test, and so does a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KERNEL],
        cwd=desk.folder,
        env=desk.environ,
        input=cells,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [said.strip() for said in done.stdout.split("--- cell\n")[1:]]

"""Whether the kernel ended a process for want of memory."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from modelport_scoring.processes.memory_kills import VMSTAT, MemoryKills


def counted(path: Path, kills: int) -> Path:
    path.write_text(f"pgfault 12\noom_kill {kills}\nnuma_hit 3\n")
    return path


def test_a_killed_process_is_told_from_one_that_the_kernel_may_have_killed(tmp_path: Path) -> None:
    vmstat = counted(tmp_path / "vmstat", 7)
    before = MemoryKills(vmstat)
    assert before.describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"
    counted(vmstat, 8)
    how = before.describe_exit(-signal.SIGKILL)
    assert how.startswith("killed by signal 9 (SIGKILL); since it started, the kernel has ended processes for want of")
    assert MemoryKills(vmstat).describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"


@pytest.mark.parametrize(("code", "how"), [(3, "exit status 3"), (-11, "killed by signal 11 (SIGSEGV)")])
def test_other_ends_say_nothing_of_memory(tmp_path: Path, code: int, how: str) -> None:
    before = MemoryKills(counted(tmp_path / "vmstat", 7))
    counted(tmp_path / "vmstat", 8)
    assert before.describe_exit(code) == how


def test_a_system_that_does_not_count_says_nothing(tmp_path: Path) -> None:
    assert MemoryKills(tmp_path / "none").describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"
    (tmp_path / "old").write_text("pgfault 12\n")
    assert MemoryKills(tmp_path / "old").describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"


def test_what_was_not_counted_at_the_start_is_nobodys_kill(tmp_path: Path) -> None:
    before = MemoryKills(tmp_path / "vmstat")  # as without a descriptor left
    counted(tmp_path / "vmstat", 7)
    assert before.describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"
    counted(tmp_path / "vmstat", 8)
    assert before.describe_exit(-signal.SIGKILL) == "killed by signal 9 (SIGKILL)"


def test_this_system_counts() -> None:
    assert "\noom_kill " in VMSTAT.read_text()

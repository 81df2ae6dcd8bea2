"""What wrk says, as it is read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.scoring.processes import free_port
from bench.scoring.workloads import Load
from bench.scoring.wrk import Call, LoadFailed, read_load, write_body, wrk_command

PRINTED = """Running 5s test @ http://127.0.0.1:5001
  1 threads and 64 connections
Requests/sec:   5000.00
LOAD requests=25000 duration_us=5000000 p50_us=1200 p99_us=3400 max_us=9000 connect=1 read=2 write=3 status=4 timeout=5
"""


def test_the_line_of_the_script_is_read() -> None:
    result = read_load(PRINTED)
    assert result.requests_per_s == 5000
    assert (result.p50_us, result.p99_us, result.max_us) == (1200, 3400, 9000)


def test_statuses_and_faults_are_both_errors() -> None:
    result = read_load(PRINTED)
    assert (result.statuses, result.faults, result.errors) == (4, 11, 15)


def test_a_percentile_that_wrk_does_not_know_is_the_maximum() -> None:
    assert read_load(PRINTED.replace("p99_us=3400", "p99_us=0")).p99_us == 9000


def test_no_time_is_no_rate() -> None:
    assert read_load(PRINTED.replace("duration_us=5000000", "duration_us=0")).requests_per_s == 0


def test_without_the_line_it_failed_and_says_what_was_printed() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1:1 Connection refused")


def test_the_command_is_bounded_and_pinned() -> None:
    call = Call(path="/score", body=b"{}", headers=(("Content-Type", "application/json"),))
    load = Load(connections=64, pipeline=16)
    command = wrk_command(call, load, port=5001, seconds=3, body_file="post.body", core=1)
    assert command[:4] == ["taskset", "--cpu-list", "1", "wrk"]
    assert command[command.index("--duration") + 1] == "3s"
    assert command[command.index("--") :] == [
        "--", "POST", "/score", "post.body", "16", "0", "Content-Type: application/json",
    ]  # fmt: skip


def test_a_call_without_a_body_has_no_file(tmp_path: Path) -> None:
    assert write_body(Call(method="GET", path="/"), tmp_path, name="get") == "-"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_script_runs_and_is_understood(tmp_path: Path) -> None:
    """Nobody listens: every connection is refused, and that is what the result says."""
    call = Call(path="/score", body=b"x", headers=(("A", "b"),))
    body_file = write_body(call, tmp_path, name="post")
    command = wrk_command(call, Load(connections=2), port=free_port(), seconds=1, body_file=body_file, core=0)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    try:
        assert read_load(ended.stdout + ended.stderr).requests == 0
    except LoadFailed as failed:
        assert "unable to connect" in str(failed)

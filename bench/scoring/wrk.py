"""wrk, the load generator: its command, and what it says at the end."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.scoring.cores import pinned
from bench.scoring.workloads import Load

SCRIPT = Path(__file__).with_name("load.lua")
PATIENCE_S = 30
"""An answer that takes longer counts as an error."""

FIELD = re.compile(r"(\w+)=(\d+)")


class LoadFailed(Exception):
    """wrk did not run to its end."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request, as bytes would go out."""

    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """What wrk counted."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    max_us: int
    statuses: int
    """Answers with a status of 400 and above."""
    faults: int
    """Connections that failed, reads and writes that broke, answers that did not come in time."""

    @property
    def errors(self) -> int:
        return self.statuses + self.faults

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.duration_us * 1e6 if self.duration_us else 0.0


def require_wrk() -> None:
    """Exits, and says how to install it, where wrk is absent."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            raise SystemExit(f"bench: {program} is not installed; on Debian and Ubuntu: apt-get install {package}")


def write_body(call: Call, folder: Path, *, name: str) -> str:
    """The file that the script reads the body from; ``-`` where there is none."""
    if call.body is None:
        return "-"
    path = folder / f"{name}.body"
    path.write_bytes(call.body)
    return str(path)


def wrk_command(call: Call, load: Load, *, port: int, seconds: int, body_file: str, core: int) -> list[str]:
    """The argv. One thread: more of them would share the one core."""
    options = ["--threads", "1", "--connections", str(load.connections), "--duration", f"{seconds}s"]
    options += ["--timeout", f"{PATIENCE_S}s", "--script", str(SCRIPT), f"http://127.0.0.1:{port}"]
    headers = [f"{name}: {value}" for name, value in call.headers]
    arguments = ["--", call.method, call.path, body_file, str(load.pipeline), str(load.pause_ms), *headers]
    return pinned(core, ["wrk", *options, *arguments])


def start_wrk(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish_wrk(process: subprocess.Popen[str], *, seconds: int) -> LoadResult:
    """Wait for its end and read what it says. Raises LoadFailed."""
    try:
        printed, _ = process.communicate(timeout=seconds + PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise LoadFailed(f"wrk had not ended {PATIENCE_S} s after its time") from error
    return read_load(printed)


def read_load(printed: str) -> LoadResult:
    """The result in the line that the script prints. Raises LoadFailed where there is none."""
    lines = [line for line in printed.splitlines() if line.startswith("LOAD ")]
    if not lines:
        raise LoadFailed(f"wrk gave no result: {printed.strip()[-300:]}")
    fields = {name: int(value) for name, value in FIELD.findall(lines[-1])}
    return LoadResult(
        requests=fields["requests"],
        duration_us=fields["duration_us"],
        p50_us=fields["p50_us"],
        p99_us=fields["p99_us"] or fields["max_us"],  # wrk says 0 where it has fewer than a hundred answers
        max_us=fields["max_us"],
        statuses=fields["status"],
        faults=sum(fields[name] for name in ("connect", "read", "write", "timeout")),
    )

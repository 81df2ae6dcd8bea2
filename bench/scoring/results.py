"""What a run leaves: every round of every server, and where one could not be served, why."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Round:
    """One server under one load for some seconds."""

    peer: str
    workload: str
    load: str
    number: int
    requests_per_s: float
    p50_us: int
    p99_us: int
    cpu_us_per_request: float
    memory_mib: float
    server_memory_mib: float
    """Without the processes that run the model."""
    cold_start_s: float
    """From the start of the process to the first right answer."""
    errors: int
    """Answers with a status of 400 and above, and faults of connections: a round with any is marked."""
    health_p99_us: int | None = None
    """Of GET on the health route meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Absence:
    """A peer that was not measured, and why."""

    peer: str
    workload: str | None
    """None: any."""
    reason: str


@dataclass(kw_only=True)
class Results:
    machine: str
    started: str
    seconds: int
    titles: dict[str, str] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    """Of the peers."""
    rounds: list[Round] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    bare_per_s: list[float] = field(default_factory=list)
    """Calls of W5's model without a server, a figure a round."""

    def of(self, peer: str, workload: str, load: str) -> list[Round]:
        return [one for one in self.rounds if (one.peer, one.workload, one.load) == (peer, workload, load)]

    def absent(self, peer: str, workload: str | None, reason: str) -> None:
        """Note it once."""
        absence = Absence(peer=peer, workload=workload, reason=reason)
        if absence not in self.absences:
            self.absences.append(absence)

    def reason(self, peer: str, workload: str) -> str | None:
        """Why there is no figure of that peer."""
        return next(
            (one.reason for one in self.absences if one.peer == peer and one.workload in (None, workload)), None
        )


def new_results(*, seconds: int, titles: dict[str, str], versions: list[str]) -> Results:
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return Results(machine=machine(), started=now, seconds=seconds, titles=titles, versions=versions)


def machine() -> str:
    """The processor and how many cores of it, without the machine's name."""
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    name = found.group(1) if found else platform.machine()
    return f"{name.strip()}, {os.cpu_count()} cores"


def file_name(results: Results) -> str:
    """``<date>-<machine>.json``"""
    slug = re.sub(r"[^a-z0-9]+", "-", results.machine.lower()).strip("-")
    return f"{results.started[:10]}-{slug}.json"


def write_results(results: Results, path: Path) -> None:
    """One line a round, so that two runs can be compared line by line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = asdict(results)
    lists = {name: whole.pop(name) for name in ("rounds", "absences")}
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in whole.items()]
    for name, rows in lists.items():
        lines = ",\n".join(json.dumps(row) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def read_results(path: Path) -> Results:
    whole: dict[str, Any] = json.loads(path.read_text())
    rounds = [Round(**row) for row in whole.pop("rounds")]
    absences = [Absence(**row) for row in whole.pop("absences")]
    return Results(rounds=rounds, absences=absences, **whole)

"""What the harness knows of a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.scoring.processes import Launch
from bench.scoring.workloads import Answer, Sample, Workload
from bench.scoring.wrk import Call

ALL = frozenset(("W1", "W2", "W3", "W4", "W5", "NULL"))


class CannotServe(Exception):
    """This peer does not serve this workload, or not here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server is to run, and what it serves."""

    python: Path
    """The interpreter of its environment."""
    workload: Workload
    model_folder: Path
    """Holds ``model.joblib`` where the workload has one."""
    port: int
    scratch: Path
    """An empty folder of its own."""


class WireFormat(Protocol):
    """How a sample is asked for, and how the answer is read."""

    def call(self, workload: Workload, sample: Sample) -> Call: ...

    def read(self, workload: Workload, body: bytes) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to serve the models."""

    key: str
    title: str
    requirements: Path
    launch: Callable[[Place], Launch]
    wire: WireFormat
    health_path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Workloads that it does not offer, and why."""
    workloads: frozenset[str] = ALL
    """Those that it is meant for; of the others nothing is said."""
    worker_mark: str | None = None
    """What the command line of the processes that run the model holds; None: one process does everything."""
    batches: bool = False
    starts_in_s: float = 60.0
    """Longer than this is a failure."""

    @property
    def folder(self) -> Path:
        return self.requirements.parent

"""What the harness knows of a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.scoring.processes import Launch
from bench.scoring.workloads import BINARY, Answer, Sample, Workload
from bench.scoring.wrk import Call

MODELS = frozenset(("W1", "W2", "W3", "W4", "W5", "W6"))
ALL = MODELS | {"NULL"}


class CannotServe(Exception):
    """This peer does not serve this workload, or not here; the message says why."""


def lacks_bytes(reason: str) -> dict[str, str]:
    """``Peer.lacks`` of one that does not offer bodies of bytes, for that reason."""
    return dict.fromkeys(BINARY, reason)


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
    package: str = ""
    """The distribution among its requirements that it is named for; none: it is our own."""
    workloads: frozenset[str] = MODELS
    """Those that it is driven with; of the others nothing is said. NULL is for those whose own cost is of interest."""
    worker_mark: str | None = None
    """What the command line of the processes that run the model holds; None: one process does everything."""
    batches: bool = False
    starts_in_s: float = 60.0
    """Longer than this is a failure."""

    @property
    def version(self) -> str:
        """For example ``mlflow 3.1.0``; empty for our own."""
        pins = self.requirements.read_text().splitlines() if self.package else []
        return next((pin.replace("==", " ") for pin in pins if pin.startswith(f"{self.package}==")), self.package)

"""What is asked of every server: six models, one of them with bodies of two sizes, and how hard they are driven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Answer = list[float] | bytes
"""The numbers of an answer in their order, or its bytes where the model is one of bytes."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One way to drive a server."""

    connections: int
    pipeline: int = 1
    """Requests that a connection sends before it waits for their answers."""
    pause_ms: int = 0
    """A connection waits so long before it asks again."""
    least_s: int = 1
    """Shorter than this it tells nothing."""
    most_s: int | None = None
    """Longer than this it tells nothing more; None: as long as each load of the run."""

    def within(self, seconds: int) -> int:
        """For how many seconds it is driven in a run whose loads are driven for ``seconds``."""
        longest = seconds if self.most_s is None else min(seconds, self.most_s)
        return max(longest, self.least_s)

    @property
    def label(self) -> str:
        return f"c{self.connections}" + (f"p{self.pipeline}" if self.pipeline > 1 else "")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model and the requests for it. The data themselves come from ``models``."""

    key: str
    title: str
    script: str
    """Stem of the entry script, and of the model's file."""
    loads: tuple[Load, ...]
    body_bytes: int | None = None
    """The size of the body that comes back as it went; None: the model takes rows of numbers."""
    probes_health: bool = False
    """Whether the latency of the health route is measured meanwhile."""
    warm_up: Load = Load(connections=8)
    """Driven for a moment before anything is measured."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request and the answer to expect: rows of numbers, or bytes."""

    rows: list[list[float]]
    binary: bytes | None
    expected: Answer


WORKLOADS = (
    Workload(
        key="W1",
        title="Ridge, one row of 10 numbers",
        script="ridge",
        loads=(Load(connections=1), Load(connections=8), Load(connections=64)),
    ),
    Workload(key="W2", title="linear model, one row of 784 numbers", script="wide", loads=(Load(connections=8),)),
    Workload(
        key="W3",
        title="echo of 100 KB of bytes",
        script="echo",
        loads=(Load(connections=8),),
        body_bytes=100 * 1024,
    ),
    Workload(key="W4", title="linear model, 1,000 rows of 30 numbers", script="table", loads=(Load(connections=8),)),
    Workload(
        key="W5",
        title="a model that computes 20 ms",
        script="busy",
        loads=(Load(connections=64, least_s=10),),
        probes_health=True,
        warm_up=Load(connections=1),  # what more of them left in the queue would be computed in the time measured
    ),
    Workload(
        key="W6",
        title="echo of 10 MB of bytes",
        script="echo",
        loads=(Load(connections=2, most_s=1),),  # a second of it is more than a gigabyte each way
        body_bytes=10 * 1024 * 1024,
        warm_up=Load(connections=2),
    ),
    Workload(
        key="NULL",
        title="a model that returns a constant",
        script="null",
        loads=(Load(connections=64), Load(connections=64, pipeline=16)),
    ),
)


BINARY = tuple(workload.key for workload in WORKLOADS if workload.body_bytes is not None)
"""Those whose bodies are bytes."""


def choose_workloads(keys: Sequence[str]) -> list[Workload]:
    """Those of that name, all where none is named. Exits on a name that is none."""
    known = {workload.key: workload for workload in WORKLOADS}
    wrong = [key for key in keys if key.upper() not in known]
    if wrong:
        raise SystemExit(f"bench: no workload {', '.join(wrong)}; there are {', '.join(known)}")
    return [known[key.upper()] for key in keys] or list(WORKLOADS)

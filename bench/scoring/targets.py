"""What was to be shown, and whether this run shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.scoring.medians import median, ratio
from bench.scoring.results import Results, Round

PLAIN, BATCHING = "modelport", "modelport-batching"
VENDOR, LEAN, TRITON = "azureml-inference-server-http", "fastapi", "pytriton"
LIGHT, SOME, MANY, PIPELINED = "c1", "c8", "c64", "c64p16"

Field = Callable[[Round], float | None]


def throughput(one: Round) -> float:
    return one.requests_per_s


def latency(one: Round) -> float:
    return one.p50_us


def processor_time(one: Round) -> float:
    return one.cpu_us_per_request


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A figure, and a word on where it comes from."""

    value: float | None
    note: str = ""


NO_FIGURE = "?"
"""Whether such a target is met."""

NOT_MEASURED = Finding(value=None, note="not measured")


@dataclass(frozen=True, kw_only=True)
class Bound:
    """``least`` or ``most``, and how a figure is written."""

    limit: float
    is_least: bool = True
    unit: str = " times"

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value < self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '<'} {self.limit:g}{self.unit}"


@dataclass(frozen=True, kw_only=True)
class Target:
    title: str
    bound: Bound
    find: Callable[[Figures], Finding]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A line of the table."""

    title: str
    bound: str
    measured: str
    met: str


class Figures:
    """Medians over the rounds of a run."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def of(self, peer: str, workload: str, load: str, field: Field = throughput) -> float | None:
        return median([value for one in self.rounds(peer, workload, load) if (value := field(one)) is not None])

    def rounds(self, peer: str, workload: str, load: str) -> list[Round]:
        """Those without errors: what fails quickly is no achievement."""
        return [one for one in self.results.of(peer, workload, load) if not one.errors]

    @property
    def others(self) -> list[str]:
        """All peers but Modelport's variants and the vendor's server."""
        return [peer for peer in self.results.titles if not peer.startswith(PLAIN) and peer != VENDOR]


def times(ours: str, theirs: str, workload: str, load: str) -> Callable[[Figures], Finding]:
    """How many times their throughput ours is."""
    return lambda figures: Finding(
        value=ratio(figures.of(ours, workload, load), figures.of(theirs, workload, load)),
        note="" if figures.of(theirs, workload, load) else f"no figure of {theirs}",  # the reason is in a table
    )


def times_the_best(ours: str, workload: str, load: str) -> Callable[[Figures], Finding]:
    """The same beside the fastest of the others."""

    def find(figures: Figures) -> Finding:
        rates = {peer: rate for peer in figures.others if (rate := figures.of(peer, workload, load)) is not None}
        best = max(rates, key=lambda peer: rates[peer], default=None)
        own = figures.of(ours, workload, load)
        if best is None or own is None:
            return NOT_MEASURED
        return Finding(value=ratio(own, rates[best]), note=f"the fastest: {best}")

    return find


def slower_than(ours: str, theirs: str, workload: str, load: str) -> Callable[[Figures], Finding]:
    """Our median latency as a part of theirs."""
    return lambda figures: Finding(
        value=ratio(figures.of(ours, workload, load, latency), figures.of(theirs, workload, load, latency))
    )


def the_quickest(ours: str, workload: str, load: str) -> Callable[[Figures], Finding]:
    """The lowest median latency of all others, as a multiple of ours."""

    def find(figures: Figures) -> Finding:
        peers = [*figures.others, VENDOR]
        found = {peer: value for peer in peers if (value := figures.of(peer, workload, load, latency)) is not None}
        best = min(found, key=lambda peer: found[peer], default=None)
        own = figures.of(ours, workload, load, latency)
        if best is None or own is None:
            return NOT_MEASURED
        return Finding(value=ratio(found[best], own), note=f"the quickest: {best}")

    return find


def figure(peer: str, workload: str, load: str, field: Field) -> Callable[[Figures], Finding]:
    return lambda figures: Finding(value=figures.of(peer, workload, load, field))


def worst_health(figures: Figures) -> Finding:
    """The higher of the two variants, in milliseconds."""
    both = [figures.of(peer, "W5", MANY, lambda one: one.health_p99_us) for peer in (PLAIN, BATCHING)]
    known = [value / 1000 for value in both if value is not None]
    return Finding(value=max(known, default=None))


def beside_the_bare_model(figures: Figures) -> Finding:
    return Finding(value=ratio(figures.of(PLAIN, "W5", MANY), median(figures.results.bare_per_s)))


def costs(without: str) -> Callable[[Figures], Finding]:
    """What the feature adds to a request, in microseconds: the median of the differences, round by round."""

    def find(figures: Figures) -> Finding:
        less = {one.number: one.cpu_us_per_request for one in figures.rounds(without, "NULL", PIPELINED)}
        pairs = [one for one in figures.rounds(PLAIN, "NULL", PIPELINED) if one.number in less]
        costs_us = [one.cpu_us_per_request - less[one.number] for one in pairs]
        note = f"{min(costs_us):.1f} to {max(costs_us):.1f}" if costs_us else ""
        return Finding(value=median(costs_us), note=note)

    return find


TARGETS: Sequence[Target] = (
    Target(
        title="W1, 64 connections, batching, beside the vendor's server",
        bound=Bound(limit=30),
        find=times(BATCHING, VENDOR, "W1", MANY),
    ),
    Target(
        title="W1, 64 connections, batching, beside every other peer",
        bound=Bound(limit=10),
        find=times_the_best(BATCHING, "W1", MANY),
    ),
    Target(
        title="W1, 64 connections, no batching, beside the vendor's server",
        bound=Bound(limit=5),
        find=times(PLAIN, VENDOR, "W1", MANY),
    ),
    Target(
        title="W1, 64 connections, no batching, beside a lean FastAPI",
        bound=Bound(limit=1.6),
        find=times(PLAIN, LEAN, "W1", MANY),
    ),
    Target(
        title="W1, 1 connection: median latency as a part of the vendor's server's",
        bound=Bound(limit=0.5, is_least=False),
        find=slower_than(PLAIN, VENDOR, "W1", LIGHT),
    ),
    Target(
        title="W1, 1 connection: the lowest median latency of all peers beside ours",
        bound=Bound(limit=1),
        find=the_quickest(PLAIN, "W1", LIGHT),
    ),
    Target(
        title="W2, 8 connections, no batching, beside the vendor's server",
        bound=Bound(limit=5),
        find=times(PLAIN, VENDOR, "W2", SOME),
    ),
    Target(
        title="W2, 8 connections, no batching, beside a lean FastAPI",
        bound=Bound(limit=1.5),
        find=times(PLAIN, LEAN, "W2", SOME),
    ),
    Target(
        title="W2, 8 connections, batching, beside the vendor's server",
        bound=Bound(limit=10),
        find=times(BATCHING, VENDOR, "W2", SOME),
    ),
    Target(
        title="W4, 8 connections, beside the vendor's server",
        bound=Bound(limit=10),
        find=times(PLAIN, VENDOR, "W4", SOME),
    ),
    Target(
        title="W4, 8 connections, beside every other peer",
        bound=Bound(limit=1.8),
        find=times_the_best(PLAIN, "W4", SOME),
    ),
    Target(
        title="W3, 8 connections, beside the vendor's server",
        bound=Bound(limit=6),
        find=times(PLAIN, VENDOR, "W3", SOME),
    ),
    Target(
        title="W3, 8 connections, beside FastAPI on uvicorn",
        bound=Bound(limit=2),
        find=times(PLAIN, LEAN, "W3", SOME),
    ),
    Target(
        title="CPU of the server itself (null model, pipelined), worker included",
        bound=Bound(limit=20, is_least=False, unit=" µs"),
        find=figure(PLAIN, "NULL", PIPELINED, processor_time),
    ),
    Target(
        title="W5, 64 connections: p99 of `/` while every worker computes",
        bound=Bound(limit=5, is_least=False, unit=" ms"),
        find=worst_health,
    ),
    Target(
        title="W5, 64 connections, no batching, beside the bare model",
        bound=Bound(limit=0.95),
        find=beside_the_bare_model,
    ),
    Target(
        title="W5, 64 connections, batching, beside pytriton with batching",
        bound=Bound(limit=1),
        find=times(BATCHING, TRITON, "W5", MANY),
    ),
    Target(
        title="process start to the first 200, a script that imports nothing",
        bound=Bound(limit=0.5, is_least=False, unit=" s"),
        find=figure(PLAIN, "NULL", MANY, lambda one: one.cold_start_s),
    ),
    Target(
        title="memory of the scoring server without workers (W1)",
        bound=Bound(limit=60, is_least=False, unit=" MiB"),
        find=figure(PLAIN, "W1", MANY, lambda one: one.server_memory_mib),
    ),
    Target(
        title="what authentication costs a request",
        bound=Bound(limit=3, is_least=False, unit=" µs"),
        find=costs("modelport-no-auth"),
    ),
    Target(
        title="what metrics cost a request",
        bound=Bound(limit=3, is_least=False, unit=" µs"),
        find=costs("modelport-no-metrics"),
    ),
)


def judge(results: Results) -> list[Verdict]:
    """Each target, and what this run says of it."""
    figures = Figures(results)
    return [verdict(target, target.find(figures)) for target in TARGETS]


def verdict(target: Target, finding: Finding) -> Verdict:
    if finding.value is None:
        return Verdict(
            title=target.title, bound=str(target.bound), measured=finding.note or "not measured", met=NO_FIGURE
        )
    note = f" ({finding.note})" if finding.note else ""
    return Verdict(
        title=target.title,
        bound=str(target.bound),
        measured=f"{finding.value:.2f}{target.bound.unit}{note}",
        met="yes" if target.bound.holds(finding.value) else "**no**",
    )

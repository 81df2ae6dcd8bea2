"""The results as Markdown and as a plot, and their place in the documentation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.scoring.environments import ROOT, environment_for
from bench.scoring.medians import median
from bench.scoring.results import Results, Round
from bench.scoring.targets import NO_FIGURE, Figures, judge, latency, processor_time, throughput
from bench.scoring.workloads import WORKLOADS, Load, Workload

PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.png"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
DRAW = Path(__file__).parent / "plot" / "draw.py"

HEADINGS = ("server", "requests/s", "lowest to highest", "p50, ms", "p99, ms", "CPU, µs", "memory, MiB", "start, s")


def publish(results: Results, *, source: Path) -> None:
    """Write the plot, and the tables between the markers of the page."""
    draw(results)
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    link = f"Every round: [{source.name}](../{source.resolve().relative_to(ROOT).as_posix()})."
    picture = f"![Requests a second, latency and CPU of every server]({PLOT.name})"
    PAGE.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n{picture}\n\n{link}\n\n{END}{after}")


def markdown(results: Results, *, whole: bool = True) -> str:
    """All tables; of targets, where not the ``whole`` was measured, those alone that there are figures for."""
    targets = targets_table(results, whole=whole)
    return "\n".join([*summary(results), *targets, *measurements(results), *absences(results)])


def summary(results: Results) -> Iterator[str]:
    rounds = max((one.number for one in results.rounds), default=0)
    yield f"{results.machine}; {results.started[:10]}; medians of {rounds} interleaved rounds of {results.seconds} s.\n"
    if results.versions:
        yield f"{'; '.join(results.versions)}.\n"


def targets_table(results: Results, *, whole: bool = True) -> Iterator[str]:
    yield "| to show | at least | measured | met? |\n| --- | --- | --- | --- |"
    for line in judge(results):
        if whole or line.met != NO_FIGURE:
            yield f"| {line.title} | {line.bound} | {line.measured} | {line.met} |"
    yield ""


def measurements(results: Results) -> Iterator[str]:
    for workload in WORKLOADS:
        for load in workload.loads:
            rows = list(table_rows(results, workload, load))
            if rows:
                yield f"{heading(workload, load)}\n"
                yield f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}"
                yield from rows
                yield ""


def heading(workload: Workload, load: Load) -> str:
    plural = "" if load.connections == 1 else "s"
    pipelined = f", {load.pipeline} requests in flight on each" if load.pipeline > 1 else ""
    return f"### {workload.key}: {workload.title}; {load.connections} connection{plural}{pipelined}"


def table_rows(results: Results, workload: Workload, load: Load) -> Iterator[str]:
    for peer, title in results.titles.items():
        rounds = results.of(peer, workload.key, load.label)
        if rounds:
            yield table_row(title, rounds)
    if workload.key == "W5" and results.bare_per_s:
        yield f"| the bare model, no server | {median(results.bare_per_s):,.1f} | | | | | | |"


def table_row(title: str, rounds: list[Round]) -> str:
    rates = [one.requests_per_s for one in rounds]
    failed = sum(one.errors for one in rounds)
    cells = [
        title + (f" (**{failed} errors**)" if failed else ""),
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        milliseconds([one.p50_us for one in rounds]),
        milliseconds([one.p99_us for one in rounds]) + health_note(rounds),
        f"{median([one.cpu_us_per_request for one in rounds]):,.0f}",
        f"{median([one.memory_mib for one in rounds]):.0f}",
        f"{median([one.cold_start_s for one in rounds]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def milliseconds(values_us: list[int]) -> str:
    """The median; unknown where no connection got all that it had asked for."""
    known = [value / 1000 for value in values_us if value]
    return f"{median(known):.2f}" if known else "unknown"


def health_note(rounds: list[Round]) -> str:
    probes = [one.health_p99_us / 1000 for one in rounds if one.health_p99_us is not None]
    return f"; health {median(probes):.1f}" if probes else ""


def absences(results: Results) -> Iterator[str]:
    if not results.absences:
        return
    yield "### Not measured\n\n| server | workload | reason |\n| --- | --- | --- |"
    for absence in results.absences:
        title = results.titles.get(absence.peer, absence.peer)
        reason = " ".join(absence.reason.replace("|", "\\|").split())
        yield f"| {title} | {absence.workload or 'all'} | {reason} |"
    yield ""


def draw(results: Results) -> None:
    """The plot, by matplotlib in an environment of its own."""
    python = environment_for(DRAW.with_name("requirements.txt"))
    subprocess.run([str(python), str(DRAW), str(PLOT)], input=json.dumps(panels(results)), text=True, check=True)


def panels(results: Results) -> list[dict[str, object]]:
    """What is drawn: sets of bars, each one peer after the other; those that there are figures for."""
    figures = Figures(results)
    wanted = (
        ("W1, 64 connections: requests/s", "W1", "c64", throughput, 1.0),
        ("W1, 1 connection: median latency, ms", "W1", "c1", latency, 1e-3),
        ("W1, 64 connections: CPU per request, µs", "W1", "c64", processor_time, 1.0),
        ("W2, 8 connections: requests/s", "W2", "c8", throughput, 1.0),
        ("W3, 8 connections: requests/s", "W3", "c8", throughput, 1.0),
        ("W4, 8 connections: requests/s", "W4", "c8", throughput, 1.0),
        ("W6, 2 connections: requests/s", "W6", "c2", throughput, 1.0),
        ("W6, 2 connections: CPU per request, ms", "W6", "c2", processor_time, 1e-3),
    )
    drawn: list[dict[str, object]] = []
    for title, workload, load, field, scale in wanted:
        found = {peer: figures.of(peer, workload, load, field) for peer in results.titles}
        bars = [[results.titles[peer], value * scale] for peer, value in found.items() if value is not None]
        if bars:
            drawn.append({"title": title, "bars": bars})
    return drawn

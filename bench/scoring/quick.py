"""``make bench-quick``: the working tree beside the previous commit, in one interleaved run.

    make bench-quick                       beside HEAD~1
    make bench-quick BASE=main ROUNDS=20

In each round all servers are started anew, and then driven in turn for short spells, the order reversed from round to
round; a ratio is taken within a round. Ends with status 1 where W1 is more than 5% slower.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.scoring.cores import Cores, choose_cores
from bench.scoring.medians import interval, median
from bench.scoring.models import make_models
from bench.scoring.peers.interface import CannotServe, Peer
from bench.scoring.peers.modelport.peer import BATCHING, PLAIN, Sources, modelport
from bench.scoring.previous import describe, packages_of
from bench.scoring.processes import adopt_orphans, end_in_order
from bench.scoring.sitting import Sitting, sitting
from bench.scoring.workloads import Load, Sample, Workload, choose_workloads
from bench.scoring.wrk import LoadFailed, require_wrk

TOLERATED = 0.95
"""W1 may be this part as fast as it was."""

W1, NULL = choose_workloads(["W1", "NULL"])
LOADS = {"W1": (Load(connections=1), Load(connections=64)), "NULL": (Load(connections=64, pipeline=16),)}
VARIANTS: Mapping[str, Mapping[str, object]] = {"plain": PLAIN, "batching": {**PLAIN, **BATCHING}}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One variant, as it was and as it is."""

    variant: str
    workload: Workload
    before: Peer
    now: Peer


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every round needs."""

    models: Path
    samples: dict[str, Sample]
    cores: Cores
    seconds: int


Ratios = dict[str, list[float]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-quick", description=__doc__)
    parser.add_argument("--base", default="HEAD~1")
    parser.add_argument("--now", default="", help="this commit instead of the working tree")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    require_wrk()
    adopt_orphans()
    end_in_order()
    cores = choose_cores()
    os.sched_setaffinity(0, {cores.load})
    before = Sources(packages=packages_of(chosen.base))
    now = Sources(packages=packages_of(chosen.now) if chosen.now else None)
    what = describe(chosen.now) if chosen.now else "The working tree"
    print(f"{what}, beside {describe(chosen.base)}; {chosen.rounds} rounds of {chosen.seconds} s")
    with tempfile.TemporaryDirectory(prefix="bench-models-") as folder:
        samples = make_models(Path(folder), [W1, NULL])
        bench = Bench(models=Path(folder), samples=samples, cores=cores, seconds=chosen.seconds)
        ratios = compare(bench, pairs(before, now), rounds=chosen.rounds)
    print("\n".join(table(ratios)))
    sys.exit(status(ratios))


def pairs(before: Sources, now: Sources) -> list[Pair]:
    wanted = [(variant, W1) for variant in VARIANTS] + [("plain", NULL)]
    return [
        Pair(
            variant=variant,
            workload=workload,
            before=modelport(f"before-{variant}", "before", VARIANTS[variant], sources=before),
            now=modelport(f"now-{variant}", "now", VARIANTS[variant], sources=now),
        )
        for variant, workload in wanted
    ]


def compare(bench: Bench, all_pairs: Sequence[Pair], *, rounds: int) -> Ratios:
    """Now by before, in requests a second, for each variant, workload and load. What cannot be served drops out."""
    ratios: Ratios = defaultdict(list)
    served = list(all_pairs)
    for number in range(rounds):
        for pair in list(served):
            try:
                one_round(bench, pair, ratios, reverse=bool(number % 2))
            except (CannotServe, LoadFailed) as error:
                served.remove(pair)
                print(f"{pair.workload.key} {pair.variant}: not compared: {error}")
        print(f"round {number + 1} of {rounds}", flush=True)
    return ratios


def one_round(bench: Bench, pair: Pair, ratios: Ratios, *, reverse: bool) -> None:
    """Both servers are up; one waits while the other is driven, which costs nothing."""
    sample = bench.samples[pair.workload.key]
    with contextlib.ExitStack() as stack:
        before, now = [
            stack.enter_context(sitting(peer, pair.workload, sample, models=bench.models, cores=bench.cores))
            for peer in (pair.before, pair.now)
        ]
        for load in LOADS[pair.workload.key]:
            rates = spell(bench, [now, before] if reverse else [before, now], load)
            ratios[f"{pair.workload.key} {load.label}, {pair.variant}"].append(rates[now] / rates[before])


def spell(bench: Bench, sittings: Sequence[Sitting], load: Load) -> dict[Sitting, float]:
    """The requests a second of each. Raises LoadFailed also where an answer was an error."""
    for held in sittings:
        held.warm_up(load)
    rates = {}
    for held in sittings:
        result = held.measure(load, seconds=bench.seconds).load
        if result.errors or not result.requests:
            raise LoadFailed(f"{held.peer.title}: {result.errors} errors in {result.requests} requests")
        rates[held] = result.requests_per_s
    return rates


def table(ratios: Ratios) -> list[str]:
    """A line for each ratio, with the interval of its median and what that allows to say."""
    lines = ["", f"{'now by before':24} {'median':>7}   19 times of 20   verdict"]
    for name, values in ratios.items():
        within = interval(values)
        told = f"{within[0]:6.3f} to {within[1]:.3f}" if within is not None else "too few rounds "
        lines.append(f"{name:24} {median(values) or 0:7.3f}   {told}   {judge(values)}")
    return lines


def judge(values: Sequence[float]) -> str:
    """In words."""
    middle, within = median(values) or 0.0, interval(values)
    if middle < TOLERATED:
        return "SLOWER by more than 5%" + ("" if is_clear(values) else ", but the noise is as large: more ROUNDS")
    if within is None or within[0] < TOLERATED:
        return "a loss of 5% would be lost in the noise: more ROUNDS"
    return "faster" if within[0] > 1 else "slower, by less than 5%" if within[1] < 1 else "the same"


def is_clear(values: Sequence[float]) -> bool:
    """Whether the whole interval lies on one side of what is tolerated."""
    within = interval(values)
    return within is not None and (within[1] < TOLERATED or within[0] >= TOLERATED)


def status(ratios: Ratios) -> int:
    """0: W1 is as fast as it was; 1: a load of it lost more than 5%; 2: it could not be compared."""
    medians = [median(values) or 0.0 for name, values in ratios.items() if name.startswith("W1")]
    if not medians:
        return 2
    return 1 if min(medians) < TOLERATED else 0


if __name__ == "__main__":
    main()

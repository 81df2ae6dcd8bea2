"""``make bench``: measure, write the results, and where everything was measured, the documentation.

make bench                                   all peers and workloads
make bench PEERS="modelport fastapi" WORKLOADS="W1 W3" ROUNDS=3 SECONDS=2
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from bench.scoring.cores import choose_cores
from bench.scoring.environments import CACHE, ROOT
from bench.scoring.models import make_models
from bench.scoring.peers.catalogue import choose_peers
from bench.scoring.peers.modelport.peer import Sources
from bench.scoring.previous import packages_of
from bench.scoring.processes import adopt_orphans, end_in_order
from bench.scoring.report import markdown, publish
from bench.scoring.results import file_name, new_results, read_results, write_results
from bench.scoring.run import Plan, run, verify
from bench.scoring.workloads import choose_workloads
from bench.scoring.wrk import require_wrk

KEPT = ROOT / "bench" / "results"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--peers", default="", help="names, separated by blanks or commas; none: all")
    parser.add_argument("--workloads", default="", help="W1 W2 W3 W4 W5 W6 NULL; none: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each load in each round")
    parser.add_argument(
        "--revision", default="", help="serve Modelport as it was in this commit; none: the working tree"
    )
    parser.add_argument("--verify", action="store_true", help="measure nothing: start each, and compare its answers")
    parser.add_argument("--publish", action="store_true", help="write the documentation also from part of the peers")
    parser.add_argument("--report", type=Path, help="measure nothing: write the documentation from these results")
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    if chosen.report:
        publish(read_results(chosen.report), source=chosen.report)
        return
    require_wrk()
    adopt_orphans()
    end_in_order()
    cores = choose_cores()
    os.sched_setaffinity(0, {cores.load})
    sources = Sources(packages=packages_of(chosen.revision) if chosen.revision else None)
    peers = choose_peers(names(chosen.peers), sources=sources)
    workloads = choose_workloads(names(chosen.workloads))
    results = new_results(
        seconds=chosen.seconds,
        titles={peer.key: peer.title for peer in peers},
        versions=sorted({peer.version for peer in peers if peer.version}),
    )
    whole = chosen.publish or not (chosen.peers or chosen.workloads or chosen.revision)
    path = (KEPT if whole else CACHE / "results") / file_name(results)
    with tempfile.TemporaryDirectory(prefix="bench-models-") as folder:
        samples = make_models(Path(folder), workloads)
        plan = Plan(
            peers=peers,
            workloads=workloads,
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            models=Path(folder),
            samples=samples,
            cores=cores,
        )
        if chosen.verify:
            verify(plan)
            return
        try:
            run(plan, results)
        finally:
            write_results(results, path)
    print(f"\n{markdown(results, whole=whole)}\nEvery round is in {path.relative_to(ROOT)}")
    if not results.rounds:
        raise SystemExit("bench: nothing was measured, for the reasons above")
    if whole:
        publish(results, source=path)


def names(text: str) -> list[str]:
    return text.replace(",", " ").split()


if __name__ == "__main__":
    main()

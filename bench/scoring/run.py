"""The run: every workload, in rounds, and in each round one server after the other, so that drift hits all alike."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.scoring.cores import Cores, pinned
from bench.scoring.entry_scripts import BARE, script_for
from bench.scoring.environments import CannotInstall, environment_for
from bench.scoring.peers.interface import CannotServe, Peer
from bench.scoring.results import Results, Round
from bench.scoring.sitting import Measured, Sitting, sitting
from bench.scoring.workloads import Load, Sample, Workload
from bench.scoring.wrk import LoadFailed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and how thoroughly."""

    peers: Sequence[Peer]
    workloads: Sequence[Workload]
    rounds: int
    seconds: int
    models: Path
    samples: dict[str, Sample]
    cores: Cores


def run(plan: Plan, results: Results) -> None:
    """Fill the results. A peer that fails once with a workload is noted, and not tried with it again."""
    for peer in plan.peers:
        install(peer, results)
    for workload in plan.workloads:
        for number in range(1, plan.rounds + 1):
            for peer in plan.peers:
                if workload.key in peer.workloads and results.reason(peer.key, workload.key) is None:
                    one_sitting(plan, results, peer=peer, workload=workload, number=number)
            if workload.key == "W5":
                results.bare_per_s.append(bare_per_s(plan, workload))


def verify(plan: Plan) -> None:
    """Start each server once with each model and say whether its answers are right; nothing is measured."""
    for peer in plan.peers:
        for workload in plan.workloads:
            if workload.key in peer.workloads:
                print(f"{workload.key:5}{peer.key:30} {verified(plan, peer, workload)}", flush=True)


def verified(plan: Plan, peer: Peer, workload: Workload) -> str:
    try:
        with sitting(peer, workload, plan.samples[workload.key], models=plan.models, cores=plan.cores) as held:
            return f"right after {held.cold_start_s:.2f} s"
    except (CannotServe, CannotInstall) as error:
        return f"NOT SERVED: {error}"


def install(peer: Peer, results: Results) -> None:
    try:
        environment_for(peer.requirements)
    except CannotInstall as error:
        results.absent(peer.key, None, f"cannot be installed: {error}")
        print(f"bench: {peer.key} cannot be installed: {error}", flush=True)


def one_sitting(plan: Plan, results: Results, *, peer: Peer, workload: Workload, number: int) -> None:
    try:
        with sitting(peer, workload, plan.samples[workload.key], models=plan.models, cores=plan.cores) as held:
            held.warm_up(workload.warm_up)
            for load in workload.loads:
                measured = held.measure(load, seconds=plan.seconds, probes_health=workload.probes_health)
                results.rounds.append(as_round(held, measured, workload=workload, load=load, number=number))
                tell(results.rounds[-1])
    except (CannotServe, LoadFailed) as error:
        results.absent(peer.key, workload.key, str(error))
        print(f"{workload.key:5} {peer.key}: {error}", flush=True)


def as_round(held: Sitting, measured: Measured, *, workload: Workload, load: Load, number: int) -> Round:
    memory = held.server.memory(worker_mark=held.peer.worker_mark)
    return Round(
        peer=held.peer.key,
        workload=workload.key,
        load=load.label,
        number=number,
        requests_per_s=round(measured.load.requests_per_s, 1),
        p50_us=measured.load.p50_us,
        p99_us=measured.load.p99_us,
        cpu_us_per_request=round(measured.cpu_us_per_request, 2),
        memory_mib=round(memory.total_mib, 1),
        server_memory_mib=round(memory.server_mib, 1),
        cold_start_s=round(held.cold_start_s, 3),
        errors=measured.load.errors,
        health_p99_us=measured.health.p99_us if measured.health is not None else None,
    )


def tell(one: Round) -> None:
    marked = f"  {one.errors} ERRORS" if one.errors else ""
    health = f"  health p99 {one.health_p99_us / 1000:.1f} ms" if one.health_p99_us is not None else ""
    print(
        f"{one.workload:5}{one.load:7} round {one.number}  {one.peer:30} {one.requests_per_s:>10,.0f}/s"
        f"  p50 {one.p50_us / 1000:.2f} ms  p99 {one.p99_us / 1000:.2f} ms  {one.cpu_us_per_request:.1f} µs CPU"
        f"  {one.memory_mib:.0f} MiB  start {one.cold_start_s:.2f} s{health}{marked}",
        flush=True,
    )


def bare_per_s(plan: Plan, workload: Workload) -> float:
    """How often a second the model can be called on the server's core without a server."""
    requirements = next(iter(plan.peers)).requirements
    for peer in plan.peers:
        if peer.key.startswith("modelport"):
            requirements = peer.requirements
    python = environment_for(requirements)
    command = [str(python), str(BARE), str(script_for(workload)), str(plan.seconds)]
    ended = subprocess.run(pinned(plan.cores.server, command), capture_output=True, text=True, check=True)
    return round(float(ended.stdout), 2)

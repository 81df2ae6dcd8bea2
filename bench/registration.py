"""Registering a large model beside `cp` and `sha256sum` on the same disk: time and memory.

    make bench-registration            1 GiB, five rounds
    python bench/registration.py --mib 64 --rounds 3

Each round runs both in turn; the ratio is taken pair by pair, so that a machine whose speed drifts misleads less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REGISTER = """
import sys, time, resource
from modelport import Model, Workspace
ws = Workspace.create("bench", exist_ok=True, show_output=False)
before = time.perf_counter()
Model.register(ws, sys.argv[1], "large")
print(time.perf_counter() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_random(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1024 * 1024))


def by_cp_and_sha256sum(source: Path, target: Path) -> float:
    """Seconds for a copy and its digest. The copy is in memory then; a registered model is on the disk."""
    before = time.perf_counter()
    subprocess.run(["cp", source, target], check=True)
    subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


def by_registering(source: Path, home: Path) -> tuple[float, float]:
    """Seconds of Model.register, and the peak memory of its whole program in MiB."""
    environment = {**os.environ, "MODELPORT_HOME": str(home)}
    command = [sys.executable, "-c", REGISTER, str(source)]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    seconds, memory = printed.split()[-2:]
    return float(seconds), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    copies, registrations, memories = [], [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        for number in range(chosen.rounds):
            source = folder / "model.bin"  # other content each time: the same is stored once
            write_random(source, chosen.mib)
            copies.append(by_cp_and_sha256sum(source, folder / "copy.bin"))
            seconds, memory = by_registering(source, folder / "home")
            registrations.append(seconds)
            memories.append(memory)
            print(
                f"round {number + 1}: cp and sha256sum {copies[-1]:.2f} s; register {seconds:.2f} s, {memory:.0f} MiB"
            )
    ratios = [registered / copied for registered, copied in zip(registrations, copies, strict=True)]
    print(f"\n| {chosen.mib} MiB, {chosen.rounds} rounds | median | min | max |\n| --- | --- | --- | --- |")
    for label, values in (
        ("cp and sha256sum, s", copies),
        ("Model.register, s", registrations),
        ("ratio", ratios),
        ("peak memory of the program, MiB", memories),
    ):
        print(f"| {label} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()

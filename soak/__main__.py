"""Long runs: workers killed under load, with batching and without, and memory after many requests.

Prints what was seen; with --publish it takes its place in docs/soak.md, beside what other runs have left there. Exits
with 1 where something did not go as promised.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import signal
import sys
from pathlib import Path

from soak import kills, leak

PAGE = Path(__file__).parent.parent / "docs" / "soak.md"
TITLE = "# Long runs\n\nWritten by `make soak PUBLISH=1`. Client, server and workers share the cores.\n\n"


def main() -> int:
    """Run what the command line says; returns the exit status."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the services are ended
    sections, faults = dict[str, str](), list[str]()
    for batching in (False, True) if options.minutes else ():
        killed = kills.run(seconds=options.minutes * 60, batching=batching)
        sections |= section(*describe_kills(killed, batching=batching, minutes=options.minutes), faults=killed.faults)
        faults += killed.faults
    if options.count:
        leaked = leak.run(count=options.count)
        sections |= section(*describe_leak(leaked), faults=leaked.faults)
        faults += leaked.faults
    print("\n".join(sections.values()))
    if options.publish:
        PAGE.write_text(TITLE + "\n".join((read_sections(PAGE.read_text()) | sections).values()))
    return 1 if faults else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of killing, each way; 0: none")
    parser.add_argument(
        "--count", type=int, default=10_000_000, help="requests of the run that looks for leaks; 0: none"
    )
    parser.add_argument("--publish", action="store_true", help="write it to docs/soak.md")
    return parser.parse_args()


def section(heading: str, lines: list[str], *, faults: list[str]) -> dict[str, str]:
    """A part of the page, by its heading."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    where = f"{today}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}. "
    end = "Everything went as promised." if not faults else "Not as promised: " + "; ".join(faults) + "."
    return {heading: "\n".join(["## " + heading, "", where + lines[0], *lines[1:], "", end, ""])}


def read_sections(page: str) -> dict[str, str]:
    """The parts of a page, by their headings."""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: "## " + part.rstrip("\n") + "\n" for part in parts}


def describe_kills(outcome: kills.Outcome, *, batching: bool, minutes: float) -> tuple[str, list[str]]:
    account = outcome.account
    lost, fine = account.statuses[502], account.statuses[200]
    heading = (
        f"{minutes:g} minutes at {kills.SHARE:.0%} of capacity, a worker killed every second, "
        f"{'with' if batching else 'without'} batching"
    )
    return heading, [
        f"{kills.WORKERS} workers, {kills.CONNECTIONS} connections, a model that computes {kills.WORK_S * 1000:g} ms. "
        "Every request has a number of its own, and its answer is checked against it.",
        "",
        "| | |",
        "| --- | --- |",
        f"| capacity, measured before | {outcome.capacity:,.0f} requests/s |",
        f"| sent | {account.sent:,}, {account.per_second:,.0f}/s |",
        f"| workers killed | {outcome.kills:,} |",
        f"| answered with 200, and right | {fine - account.wrong:,} |",
        f"| answered with 502 | {lost:,}, {lost / max(outcome.kills, 1):.2f} for each kill |",
        f"| other statuses | {account.answered - fine - lost} |",
        f"| not answered | {account.sent - account.answered} |",
        f"| slowest answer | {account.slowest_s:.2f} s |",
    ]


def describe_leak(outcome: leak.Outcome) -> tuple[str, list[str]]:
    rows = [f"| {each.requests:,} | {each.server_kib:,} | {each.worker_kib:,} |" for each in outcome.samples]
    return "Memory after many requests", [
        f"wrk, {leak.CONNECTIONS} connections that pipeline {leak.PIPELINE}, one round in {leak.LARGE_EVERY} with "
        f"bodies of {len(leak.LARGE.body or b'') // 1000} KB. "
        f"Resident memory; {outcome.errors} requests failed.",
        "",
        "| requests | scoring server, KiB | worker, KiB |",
        "| ---: | ---: | ---: |",
        *rows,
    ]


if __name__ == "__main__":
    sys.exit(main())

"""Which core serves and which one drives: they never share."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cores:
    server: int
    load: int


def choose_cores() -> Cores:
    """The first core for the server and what it starts, the last one for wrk and this program. Exits with one core."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("bench: this machine lends one core only; the server and the load generator need one each")
    return Cores(server=allowed[0], load=allowed[-1])


def pinned(core: int, command: list[str]) -> list[str]:
    """The command, kept on that core with all that it starts."""
    return ["taskset", "--cpu-list", str(core), *command]

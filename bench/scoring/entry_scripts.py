"""The entry scripts: what Modelport and the vendor's server run, unchanged."""

from __future__ import annotations

from pathlib import Path

from bench.scoring.workloads import Workload

SCRIPTS = Path(__file__).parent / "scripts"
BARE = SCRIPTS / "bare.py"
"""Calls an entry script without a server."""


def script_for(workload: Workload) -> Path:
    return SCRIPTS / f"{workload.script}.py"

"""Why a supervisor gave up."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.failures import Failure, Phase
from modelport.targets.local.logs import last_lines_of
from modelport.targets.serving.failures import from_scoring
from modelport_scoring import read_failure, supervisor_log_path


def supervisor_failure(folder: Path, *, only_written: bool = False) -> Failure | None:
    """Why the supervisor gave up before it served: its own word, or else the end of its log."""
    written = read_failure(folder)
    log = last_lines_of(supervisor_log_path(folder), count=50)
    if written is not None:
        return from_scoring(written, log=log)
    if only_written:
        return None
    return Failure(phase=Phase.START, message="The scoring server did not come up.", log=log)

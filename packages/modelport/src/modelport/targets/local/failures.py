"""What the scoring server says of a failure, in the words of the domain."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.failures import Failure, Phase
from modelport.targets.local.logs import last_lines_of
from modelport_scoring import Failure as ScoringFailure
from modelport_scoring import read_failure, supervisor_log_path


def from_scoring(failure: ScoringFailure, *, log: str = "") -> Failure:
    """The failure of a worker's start."""
    message = f"{failure.type}: {failure.message}" if failure.type else failure.message
    if failure.exit and failure.exit not in message:
        message = f"{message} ({failure.exit})"
    return Failure(phase=Phase(failure.phase), message=message, traceback=failure.traceback or "", log=log)


def supervisor_failure(folder: Path, *, only_written: bool = False) -> Failure | None:
    """Why the supervisor gave up before it served: its own word, or else the end of its log."""
    written = read_failure(folder)
    log = last_lines_of(supervisor_log_path(folder), count=50)
    if written is not None:
        return from_scoring(written, log=log)
    if only_written:
        return None
    return Failure(phase=Phase.START, message="The scoring server did not come up.", log=log)

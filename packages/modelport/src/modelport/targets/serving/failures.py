"""What the scoring server says of a failure, in the words of the domain."""

from __future__ import annotations

from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport_scoring import Failure as ScoringFailure


def from_scoring(failure: ScoringFailure, *, log: str = "") -> Failure:
    """The failure of a worker's start. Raises ValueError for a phase that is none."""
    message = f"{failure.type}: {failure.message}" if failure.type else failure.message
    if failure.exit and failure.exit not in message:
        message = f"{message} ({failure.exit})"
    return Failure(phase=Phase(failure.phase), message=message, traceback=failure.traceback or "", log=log)


def goes_on_as_before(name: str, text: str) -> WebserviceException:
    """The error for a service of that name that runs, and could not be told its new settings; with what to try."""
    hint = (
        f"Its log says why: modelport service get-logs -n {name}. Restart it, and then update it again: "
        f"modelport service restart -n {name}."
    )
    return WebserviceException(text, hint=hint)

"""Why a container does not serve, in the words of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from modelport.domain.failures import Failure, Phase
from modelport.targets.serving.failures import from_scoring
from modelport_scoring import Failure as ScoringFailure

LAST_LINES = 50
_KILLED = 137


def failure_of(inspected: Mapping[str, Any], *, written: bytes | None, log: str) -> Failure:
    """Of a container that has ended. ``inspected``: as the engine describes it; ``written``: its ``failure.json``."""
    state = inspected["State"]
    told = _written(written, log)
    if told is None and state.get("ExitCode") == _KILLED:
        return _with_memory(_of_end(state, log), inspected)
    return explained(told or _of_end(state, log), inspected)


def explained(failure: Failure, inspected: Mapping[str, Any]) -> Failure:
    """With what only the container tells where a process of it was killed: the limit on its memory."""
    was_killed = "SIGKILL" in failure.message or inspected["State"].get("OOMKilled")
    return _with_memory(failure, inspected) if was_killed else failure


def _of_end(state: Mapping[str, Any], log: str) -> Failure:
    return Failure(phase=Phase.START, message=f"The container ended: {describe_end(state)}", log=log)


def describe_end(state: Mapping[str, Any]) -> str:
    """``exit status 3``, or what ended it."""
    code = state.get("ExitCode")
    text = "it was killed (exit status 137)" if code == _KILLED else f"exit status {code}"
    error = state.get("Error")
    return f"{text}: {error}" if error else text


def _written(content: bytes | None, log: str) -> Failure | None:
    if content is None:
        return None
    try:
        return from_scoring(msgspec.json.decode(content, type=ScoringFailure), log=log)
    except msgspec.MsgspecError:
        return None


def _with_memory(failure: Failure, inspected: Mapping[str, Any]) -> Failure:
    """With a word on the memory: a process was killed, and where there is a limit, that may be why."""
    limit = inspected["HostConfig"].get("Memory") or 0
    if not limit:
        return failure
    is_known = bool(inspected["State"].get("OOMKilled"))
    gb = f"{limit / 1024**3:g} GB"
    why = f"it used more than the container's {gb} of memory" if is_known else f"the container has {gb} of memory"
    return replace(
        failure,
        message=f"{failure.message} ({why})",
        hint=failure.hint or "Give it more: AciWebservice.deploy_configuration(memory_gb=…).",
    )

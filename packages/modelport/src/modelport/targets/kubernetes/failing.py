"""Why a container does not run, in words that say more than ``CrashLoopBackOff``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from modelport.domain.failures import Failure, Phase
from modelport.targets.serving.failures import from_scoring
from modelport_scoring import Failure as ScoringFailure

Object = Mapping[str, Any]

SCRIPT_FAILED = 3
"""The scoring server's status where the entry script cannot be started."""

_PULL_WAITS = ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable")
_BAD_IMAGE = re.compile(r"not found|manifest unknown|unauthorized|denied|forbidden|invalid reference", re.IGNORECASE)
"""In what a kubelet says after the first try: another one will not help."""
_REFUSED_WAITS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")

_REPORTED = re.compile(
    r"^The phase (?P<phase>[\w -]+) failed: (?P<message>[^\n]*\S)[ \t]*\n"
    r"(?P<traceback>Traceback \(most recent call last\):.*?(?=^\d{4}-\d\d-\d\d |\Z))?",
    re.MULTILINE | re.DOTALL,
)
_TOLD = re.compile(r"did not start \(phase (?P<phase>[\w -]+)\): (?P<message>.*\S)", re.MULTILINE)

_GIVEN_UP = ("Evicted", "NodeLost", "UnexpectedAdmissionError")

_MOST_LINES = 50


@dataclass(frozen=True, kw_only=True)
class FailedContainer:
    """A container that cannot run, and what its pod says of it."""

    pod: Object
    status: Object
    is_init: bool

    @property
    def name(self) -> str:
        return str(self.status["name"])

    @property
    def waiting(self) -> Object:
        return (self.status.get("state") or {}).get("waiting") or {}

    @property
    def ended(self) -> Object | None:
        """How it ended the last time."""
        now = (self.status.get("state") or {}).get("terminated")
        return now or (self.status.get("lastState") or {}).get("terminated")

    @property
    def ends(self) -> int:
        """How often it has ended so far."""
        runs = "running" in (self.status.get("state") or {})
        return int(self.status.get("restartCount", 0)) + (self.ended is not None and not runs)

    @property
    def spec(self) -> Object:
        spec = self.pod.get("spec") or {}
        declared = [*spec.get("containers", ()), *spec.get("initContainers", ())]
        return next((one for one in declared if one["name"] == self.name), {})


@dataclass(frozen=True, kw_only=True)
class Blamed:
    """Whose log explains a failure."""

    pod: str
    container: str
    previous: bool
    """Whether it is the log of the container before the one that is there now."""


def blamed(pods: Sequence[Object]) -> Blamed | None:
    """The first container that fails and has printed something, if any does."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        failed = failed_container(pod)
        if failed is not None and failed.ended is not None:
            is_over = (failed.status.get("state") or {}).get("terminated") is not None
            return Blamed(pod=str(pod["metadata"]["name"]), container=failed.name, previous=not is_over)
    return None


def failed_container(pod: Object) -> FailedContainer | None:
    """The container of the pod that is known to fail; None where all run, or may still come right.

    One that ended once is started again by the kubelet: only the second end counts, unless the first one says that
    another try would be the same.
    """
    status = pod.get("status") or {}
    for is_init, key in ((True, "initContainerStatuses"), (False, "containerStatuses")):
        for one in status.get(key) or ():
            found = FailedContainer(pod=pod, status=one, is_init=is_init)
            if _is_failing(found):
                return found
    return None


def _is_failing(found: FailedContainer) -> bool:
    if found.status.get("ready") and not found.is_init:
        return False
    waiting, ended = found.waiting, found.ended
    reason, message = waiting.get("reason"), str(waiting.get("message", ""))
    if reason == "ErrImagePull":
        return bool(_BAD_IMAGE.search(message))
    if reason in (*_PULL_WAITS, *_REFUSED_WAITS, "CrashLoopBackOff"):
        return True
    if ended is None or ended.get("exitCode", 0) == 0:
        return False
    is_certain = ended["exitCode"] == SCRIPT_FAILED or ended.get("reason") == "OOMKilled"
    return is_certain or found.ends > 1


def why_container_failed(found: FailedContainer, events: Sequence[Object]) -> Failure:
    """The cause: what it said itself when it ended, how it ended, or why it never started."""
    reason = found.waiting.get("reason")
    if reason in _PULL_WAITS:
        return _not_pulled(found, events)
    if reason in _REFUSED_WAITS:
        return Failure(
            phase=Phase.START,
            message=f"The container {found.name!r} cannot be started: {found.waiting.get('message', reason)}",
            hint="What it names has to be there, in the namespace of the service.",
        )
    ended = found.ended
    if ended is None:
        return Failure(
            phase=Phase.START,
            message=f"The container {found.name!r} does not run: {found.waiting.get('message', reason)}",
        )
    return _ended(found, ended, events)


def _not_pulled(found: FailedContainer, events: Sequence[Object]) -> Failure:
    image = str(found.spec.get("image") or found.status.get("image", ""))
    said = str(found.waiting.get("message", ""))
    if found.waiting.get("reason") == "ImagePullBackOff" and "rpc error" not in said:
        said = _last_event(found, events, reason="Failed", having="pull image") or said
    return Failure(
        phase=Phase.START,
        message=f"The image {image} cannot be pulled: {said}",
        hint="Push it to a registry that the cluster's nodes reach; where that asks for a password, image_pull_secrets "
        "names a Secret of the namespace.",
    )


def _ended(found: FailedContainer, ended: Object, events: Sequence[Object]) -> Failure:
    """From what it ended with. Its last words are a failure of the scoring server, or else the end of its log."""
    said = str(ended.get("message") or "").strip()
    told = _of_scoring_server(said)
    if ended.get("reason") == "OOMKilled":
        # What the server wrote down for a program to read is no log: it knows no more than that a worker was killed.
        return _out_of_memory(found, log=said if told is None else told.log)
    if told is not None:
        return told
    if found.is_init:
        return Failure(
            phase=Phase.START,
            message=f"What the service serves could not be fetched: {_last_line(said) or _how(found, ended)}",
            hint="The pods have to reach the object store; its archives must be those that the deployment names.",
            log=_end_of(said),
        )
    killed = _last_event(found, events, reason="Unhealthy", having="Liveness probe failed")
    if killed is not None and ended.get("exitCode") != SCRIPT_FAILED:
        return Failure(
            phase=Phase.START,
            message=f"The kubelet ended the container {found.name!r} because it did not answer: {killed}",
            hint="Give it more time or CPU: timeout_seconds, failure_threshold, cpu_cores.",
            log=_end_of(said),
        )
    if ended.get("exitCode") == SCRIPT_FAILED:
        message = "The entry script could not be started."
        return Failure(phase=Phase.INIT, message=message, hint="The log says why.", log=_end_of(said))
    return Failure(
        phase=Phase.START,
        message=f"The container {found.name!r} {_how(found, ended)}{f': {_last_line(said)}' if said else '.'}",
        hint="The log says why (get_logs).",
        log=_end_of(said),
    )


def _out_of_memory(found: FailedContainer, *, log: str) -> Failure:
    resources = found.spec.get("resources") or {}
    limit = (resources.get("limits") or {}).get("memory")
    if limit is not None:
        return Failure(
            phase=Phase.START,
            message=f"The container {found.name!r} used more memory than its limit of {limit} and was killed "
            f"(OOMKilled){_times(found)}.",
            hint="Give it more in the deployment configuration: memory_gb_limit, and memory_gb, what is set aside.",
            log=_end_of(log),
        )
    requested = (resources.get("requests") or {}).get("memory", "nothing")
    return Failure(
        phase=Phase.START,
        message=f"The container {found.name!r} was killed because its node ran out of memory (OOMKilled)"
        f"{_times(found)}; {requested} is set aside for it, and it has no limit.",
        hint="Set more aside: memory_gb in the deployment configuration.",
        log=_end_of(log),
    )


def why_evicted(pod: Object) -> Failure | None:
    """Why its node gave the pod up, if it did."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed" or status.get("reason") not in _GIVEN_UP:
        return None
    return Failure(
        phase=Phase.START,
        message=f"The node gave the pod {pod['metadata']['name']} up ({status['reason']}): {status.get('message', '')}",
        hint="Set aside what it uses: memory_gb, cpu_cores.",
    )


def _of_scoring_server(said: str) -> Failure | None:
    """The scoring server's own account of a failed start: as it wrote it down, or as it is in the end of its log."""
    try:
        told = msgspec.json.decode(said, type=ScoringFailure)
        return from_scoring(told) if told.message or told.type else None
    except (msgspec.MsgspecError, ValueError):
        return _of_log(said)


def _of_log(said: str) -> Failure | None:
    """By the worker's report; where that is too long for a pod's status, by the server's word at the end."""
    reported = list(_REPORTED.finditer(said))
    found = reported[-1] if reported else _TOLD.search(said)
    if found is None or found["phase"] not in {phase.value for phase in Phase}:
        return None
    traceback = found["traceback"] if reported else ""
    return Failure(phase=Phase(found["phase"]), message=found["message"], traceback=traceback or "", log=_end_of(said))


def _how(found: FailedContainer, ended: Object) -> str:
    """How it ended, and how often."""
    code = ended.get("exitCode", 0)
    how = f"was killed by signal {code - 128}" if code > 128 else f"ended with status {code}"
    reason = ended.get("reason")
    return f"{how}{f' ({reason})' if reason and reason != 'Error' else ''}{_times(found)}"


def _times(found: FailedContainer) -> str:
    return f", {found.ends} times so far" if found.ends > 1 else ""


def _last_event(found: FailedContainer, events: Sequence[Object], *, reason: str, having: str) -> str | None:
    uid = found.pod["metadata"].get("uid")
    fitting = [
        event
        for event in events
        if event.get("reason") == reason
        and having in str(event.get("message"))
        and (event.get("involvedObject") or {}).get("uid") == uid
    ]
    fitting.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return str(fitting[-1]["message"]) if fitting else None


def _last_line(said: str) -> str:
    return said.splitlines()[-1].strip() if said else ""


def _end_of(said: str) -> str:
    return "\n".join(said.splitlines()[-_MOST_LINES:])

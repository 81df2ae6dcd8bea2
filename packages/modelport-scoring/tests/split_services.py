"""Services with several revisions for the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from modelport_scoring import (
    RevisionStatus,
    Traffic,
)
from scoring_services import RunningService, Services, ask

REVISION = "modelport-revision"


def answering(text: str, *, before: str = "pass", inside: str = "pass") -> str:
    return f"import os, time\ndef init():\n    {before}\ndef run(x):\n    {inside}\n    return {text!r}\n"


def hosting(services: Services, *scripts: str, traffic: Traffic | None = None, **more: Any) -> RunningService:
    """A running service with one revision for each script, the first of them the default one."""
    service = services.start(scripts[0], **more)
    for number, script in enumerate(scripts[1:], 2):
        service.control.host(service.revision(number, script))
    if traffic is not None:
        service.control.split(traffic)
    return service


def asked(service: RunningService, times: int, *, headers: Mapping[str, str] | None = None) -> Counter[str]:
    """Which revisions answered so many requests with the same head on one connection."""
    connection = service.connect()
    seen: Counter[str] = Counter()
    for _ in range(times):
        answer = ask(connection, "POST", "/score", body="x", headers=headers)
        assert (answer.status, answer.json) == (200, answer.headers[REVISION])
        seen[answer.json] += 1
    connection.close()
    return seen


def state_of(service: RunningService, number: int) -> RevisionStatus:
    return next(revision for revision in service.status.revisions if revision.revision == number)


def workers(service: RunningService, number: int) -> list[int]:
    return [worker.pid for worker in state_of(service, number).workers if worker.pid is not None]


def asked_once(service: RunningService) -> Any:
    return service.score("x").json

"""Services with several revisions for the tests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modelport_scoring import (
    RevisionStatus,
    Traffic,
)
from scoring_services import RunningService, Services, ask, wait_until

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


@contextmanager
def load(service: RunningService, *, clients: int = 4) -> Iterator[Counter[Any]]:
    """Clients that ask without a pause; counts the answers by status and body, and every error."""
    seen: Counter[Any] = Counter()
    stop = threading.Event()

    def client() -> None:
        connection = service.connect()
        while not stop.is_set():
            try:
                answer = ask(connection, "POST", "/score", body="x")
                seen[answer.status, answer.body] += 1
            except Exception as error:
                seen[repr(error)] += 1
                connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: seen.total() > 100, what="load")
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def state_of(service: RunningService, number: int) -> RevisionStatus:
    return next(revision for revision in service.status.revisions if revision.revision == number)


def workers(service: RunningService, number: int) -> list[int]:
    return [worker.pid for worker in state_of(service, number).workers if worker.pid is not None]


def asked_once(service: RunningService) -> Any:
    return service.score("x").json

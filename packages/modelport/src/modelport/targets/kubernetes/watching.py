"""Waiting for objects of a cluster: woken by their changes, not by a clock."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from modelport.domain.errors import WebserviceException
from modelport.targets.kubernetes.cluster import NO_LABELS, Cluster

_LOOK_AGAIN_S = 5.0
"""A change may fall between two watches; and what a pod waits for may be no object of its own."""
_AFTER_AN_ERROR_S = 1.0

_Found = TypeVar("_Found")


@contextlib.contextmanager
def woken_by(
    cluster: Cluster, kinds: Sequence[str], *, namespace: str | None = None, labels: Mapping[str, str] = NO_LABELS
) -> Iterator[threading.Event]:
    """An event that is set whenever an object of these kinds and labels changes."""
    changed, over = threading.Event(), threading.Event()

    def watch(kind: str) -> None:
        while not over.is_set():
            try:
                for _ in cluster.changes(kind, namespace=namespace, labels=labels):
                    changed.set()
                    if over.is_set():
                        return
            except WebserviceException:
                over.wait(_AFTER_AN_ERROR_S)

    # They end with the watch that is under way, within seconds: nobody waits for that.
    for kind in kinds:
        threading.Thread(target=watch, args=(kind,), name=f"watch {kind}", daemon=True).start()
    try:
        yield changed
    finally:
        over.set()


def wait_for(
    look: Callable[[], _Found | None],
    changed: threading.Event,
    *,
    within_s: float,
    look_every_s: float = _LOOK_AGAIN_S,
) -> _Found | None:
    """What ``look`` finds, which is asked after every change, and now and then; None where it found nothing in time."""
    deadline = time.monotonic() + within_s
    while True:
        changed.clear()
        found = look()
        left = deadline - time.monotonic()
        if found is not None or left <= 0:
            return found
        changed.wait(min(left, look_every_s))

"""Waiting for objects of a cluster: woken by their changes, not by a clock."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from modelport.domain.errors import WebserviceException
from modelport.targets.kubernetes.cluster import NO_LABELS, Cluster, Unanswered

_LOOK_AGAIN_S = 5.0
"""A change may fall between two watches; and what a pod waits for may be no object of its own."""
_AFTER_AN_ERROR_S = 1.0
_UNANSWERED_S = 90.0
"""How long a cluster may leave questions unanswered, as while its API server is replaced, before that is an error."""

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


class Patience:
    """With a cluster that does not answer: so many seconds for everything that is tried with it."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._over: Unanswered | None = None

    def insist(self, change: Callable[[], object]) -> None:
        """Have it done, again and again where it is Unanswered. Once that was so until the time
        was up, everything is."""
        while self._over is None:
            try:
                change()
                return
            except Unanswered as error:
                if time.monotonic() > self._until:
                    self._over = error
                else:
                    time.sleep(_AFTER_AN_ERROR_S)
        raise self._over


def wait_for(
    look: Callable[[], _Found | None],
    changed: threading.Event,
    *,
    within_s: float,
    look_every_s: float = _LOOK_AGAIN_S,
) -> _Found | None:
    """What ``look`` finds, which is asked after every change, and now and then; None where it found nothing in time.

    Raises what ``look`` does; Unanswered only where that is so for a while.
    """
    deadline = time.monotonic() + within_s
    answered = time.monotonic()
    while True:
        changed.clear()
        left = deadline - time.monotonic()
        try:
            found = look()
            answered = time.monotonic()
        except Unanswered:
            if left <= 0 or time.monotonic() - answered > _UNANSWERED_S:
                raise
            found = None
        if found is not None or left <= 0:
            return found
        changed.wait(min(left, look_every_s))

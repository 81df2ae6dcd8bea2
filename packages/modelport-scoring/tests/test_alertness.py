"""Whether the event loop sleeps or looks out for the next request."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable

import pytest

from modelport_scoring.workers.alertness import Alertness

LONGEST_S = 60.0
"""Longer than a busy machine can keep these tests from their next line."""

WATCHED_S = 0.3


class CountingSelector(selectors.DefaultSelector):
    """Counts how often the event loop only had a look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.looks += timeout == 0
        return super().select(timeout)


def looks_after(requests: Callable[[Alertness], None], *, later_s: float = 0.0, longest_s: float = LONGEST_S) -> int:
    """How often the loop looks, instead of sleeping, in the time after these requests, or so much later."""
    selector = CountingSelector()

    async def wait(alertness: Alertness) -> int:
        requests(alertness)
        if later_s:
            await asyncio.sleep(later_s)
        before = selector.looks
        await asyncio.sleep(WATCHED_S)
        return selector.looks - before

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(wait(Alertness(runner.get_loop(), longest_s=longest_s)))


def ask(alertness: Alertness, *, after_s: float, given: int) -> None:
    """A request, that long after the last answer, and its answer."""
    if alertness.is_idle:
        alertness.request_came(time.monotonic() + after_s)
    alertness.all_answered(given)


def test_it_looks_out_for_who_asks_at_once() -> None:
    def requests(alertness: Alertness) -> None:
        ask(alertness, after_s=0.0, given=1)
        ask(alertness, after_s=0.0, given=2)

    assert looks_after(requests) > 20


@pytest.mark.parametrize(
    "after_s, given", [pytest.param(LONGEST_S, 2, id="who takes its time"), pytest.param(0.0, 3, id="two at once")]
)
def test_it_sleeps_otherwise(after_s: float, given: int) -> None:
    def requests(alertness: Alertness) -> None:
        ask(alertness, after_s=0.0, given=1)
        ask(alertness, after_s=after_s, given=given)

    assert looks_after(requests) < 5


def test_the_next_request_ends_it() -> None:
    def requests(alertness: Alertness) -> None:
        ask(alertness, after_s=0.0, given=1)
        ask(alertness, after_s=0.0, given=2)
        alertness.request_came(time.monotonic())

    assert looks_after(requests) < 5


def test_it_sleeps_once_nobody_has_come_for_that_long() -> None:
    def requests(alertness: Alertness) -> None:
        ask(alertness, after_s=0.0, given=1)
        ask(alertness, after_s=0.0, given=2)

    assert looks_after(requests, later_s=0.2, longest_s=0.1) < 5

"""When a supervisor takes over from the one before, and when it must not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelport_scoring.errors import ServiceNotRunning
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import HandoverFailed
from modelport_scoring.states import ServiceState
from modelport_scoring.supervision import succession as successions
from modelport_scoring.supervision.succession import Succession
from modelport_scoring.supervision.told import LEAVE

READY = SimpleNamespace(state=ServiceState.RUNNING)
STARTING = SimpleNamespace(state=ServiceState.STARTING)


class Waits:
    """A handover with one that serves still: what is done with it is written down."""

    waits = is_ours = True
    taken = False

    def __init__(self, *, fails: bool = False) -> None:
        self.done: list[str] = []
        self._fails = fails

    def take_over(self) -> None:
        self.done.append("take over")
        if self._fails:
            raise HandoverFailed("the folder has gone")

    def stop(self) -> None:
        self.done.append("stop")

    def serve(self, leave: Callable[[], None]) -> None:
        self.done.append("serve")
        leave()


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
    """What the supervisor sends itself."""
    sent: list[signal.Signals] = []
    monkeypatch.setattr(successions, "READY_POLL_S", 0.0)
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number) if pid == os.getpid() else None)
    return sent


def run(
    monkeypatch: pytest.MonkeyPatch,
    handover: Waits,
    looks: list[Any],
    *,
    seen: Callable[[Succession], object] | None = None,
) -> None:
    """Let it take over, with these servers at each look at them; ``seen`` is called at the first one."""
    succession = Succession(cast(Handover, handover), servers=2)

    def status() -> SimpleNamespace:
        if seen is not None:
            seen(succession)
        servers = looks.pop(0)
        if servers is None:
            raise ServiceNotRunning("not yet")
        return SimpleNamespace(servers=servers)

    monkeypatch.setattr(successions, "ControlClient", lambda _: SimpleNamespace(status=status))
    succession.run()
    for descriptor in (succession.gate, succession._gate_closer):
        try:
            os.close(descriptor)
        except OSError:
            assert descriptor != succession.gate
            handover.done.append("gate opened")


def test_all_servers_have_to_be_ready(monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]) -> None:
    handover, looks = Waits(), [None, [], [READY], [READY, STARTING], [READY, READY]]
    run(monkeypatch, handover, looks)
    assert looks == []
    assert handover.done == ["take over", "serve", "gate opened"]
    assert signals == [LEAVE]


def test_one_that_is_to_stop_takes_nothing_over(monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]) -> None:
    handover = Waits()
    run(monkeypatch, handover, [[STARTING, STARTING], [READY, READY]], seen=Succession.end)
    assert handover.done == ["stop"]
    assert signals == []


def test_one_that_cannot_take_over_stops(monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]) -> None:
    """Both would serve else, or the next one for ever with servers that accept nothing."""
    handover = Waits(fails=True)
    run(monkeypatch, handover, [[READY, READY]])
    assert handover.done == ["take over"]
    assert signals == [signal.SIGTERM]

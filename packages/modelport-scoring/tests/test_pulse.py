"""What a supervisor and its scoring servers tell each other in the memory for metrics: that one still turns, and why it
was sent a signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.supervision import pulse
from modelport_scoring.supervision.pulse import LONGEST_LOOK_S, PATIENCE_S, START_PATIENCE_S, Pulse
from modelport_scoring.supervision.told import Told
from modelport_scoring.telemetry.counters import share_memory
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described


@pytest.fixture
def memory() -> Iterator[int]:
    made = share_memory()
    yield made
    os.close(made)


class Clock:
    """The supervisor's; the servers' own is the real one, which is only asked whether it differs."""

    def __init__(self) -> None:
        self.now = 1000.0

    def looks(self, watched: Pulse, seconds: float, *, every_s: float = 1.0) -> list[bool]:
        """What is found, looked at so often for so long."""
        found = []
        for _ in range(round(seconds / every_s)):
            self.now += every_s
            found.append(watched.has_stopped())
        return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def server(memory: int, process: int) -> Telemetry:
    return Telemetry(TelemetrySettings(), service=Described("demo"), memory=memory, process=process)


def test_one_that_has_turned_and_does_not_any_more_hangs(memory: int, clock: Clock) -> None:
    watched = Pulse(memory, process=1)
    telemetry = server(memory, 1)
    server(memory, 0).publish()
    assert not any(clock.looks(watched, PATIENCE_S))
    telemetry.publish()
    assert not any(clock.looks(watched, PATIENCE_S)), "each turn counts anew"
    server(memory, 0).publish()
    assert any(clock.looks(watched, 2)), "another one's turn is not its own"


def test_one_that_has_not_turned_yet_may_take_its_time(memory: int, clock: Clock) -> None:
    watched = Pulse(memory, process=0)
    assert not any(clock.looks(watched, START_PATIENCE_S))
    assert clock.looks(watched, 1) == [True]


def test_the_next_one_begins_anew(memory: int, clock: Clock) -> None:
    watched = Pulse(memory, process=0)
    server(memory, 0)
    assert any(clock.looks(watched, PATIENCE_S + 2))
    watched.begin()
    assert not any(clock.looks(watched, START_PATIENCE_S)), "it has not turned yet, whatever the one before has left"


def test_a_time_in_which_the_supervisor_stood_still_counts_as_one_look(memory: int, clock: Clock) -> None:
    watched = Pulse(memory, process=0)
    server(memory, 0)
    watched.has_stopped()
    few = int(PATIENCE_S / LONGEST_LOOK_S)
    assert not any(clock.looks(watched, few * 1000.0, every_s=1000.0))
    assert clock.looks(watched, 1000.0, every_s=1000.0) == [True]


def test_each_is_told_for_itself(memory: int) -> None:
    own = [Told(memory, process=number) for number in (0, 1)]
    assert [each.read() for each in own] == [0, 0]
    own[1].write(signal.SIGTERM)
    server(memory, 1).publish()
    assert [each.read() for each in own] == [0, signal.SIGTERM], "what it counts leaves that alone"

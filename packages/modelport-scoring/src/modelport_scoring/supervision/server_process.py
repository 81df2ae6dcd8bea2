"""A scoring server, seen by the supervisor that starts it, and starts it again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from modelport_scoring.logs.journal import say
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.processes.memory_kills import MemoryKills
from modelport_scoring.supervision.orphans import end_left_behind
from modelport_scoring.supervision.pulse import Pulse
from modelport_scoring.supervision.told import Told


class ServerProcess:
    """The place of one scoring server: who is in it, and when the next one is due.

    Of several servers each leads a session of its own, by which what it leaves behind is told from what belongs to the
    others; a single one is in ours.
    """

    def __init__(self, number: int, *, is_single: bool, memory: int) -> None:
        """``memory``: descriptor of that for metrics."""
        self.number = number
        self._pulse = Pulse(memory, process=number)
        self._told = Told(memory, process=number)
        self.process: subprocess.Popen[bytes] | None = None
        self._is_single = is_single
        self.due_at = 0.0
        self._born = 0.0
        self._memory_kills = MemoryKills()
        self._backoff = BackOff()

    def start(self, command: list[str], *, descriptors: tuple[int, ...]) -> None:
        """Start it with descriptors of ours. Where the system cannot, for want of memory for example, it is due again
        later."""
        self._born = time.monotonic()
        self._memory_kills = MemoryKills()
        self._pulse.begin()
        command = [*command, "--process", str(self.number)]
        try:
            self.process = subprocess.Popen(command, pass_fds=descriptors, start_new_session=not self._is_single)
        except OSError as error:
            delay_s = self.start_later()
            say(f"scoring server {self.number} could not be started ({error}); it is tried again in {delay_s:g} s")

    def collect(self) -> int | None:
        """The return code, once after its end; what it has left behind is ended too."""
        process = self.process
        if process is None or process.poll() is None:
            return None
        with contextlib.suppress(OSError):  # the system has no descriptor left to look with; workers end by themselves
            if not self._is_single:
                end_left_behind(process.pid)
            elif os.getsid(0) == os.getpid():
                end_left_behind(os.getpid())
        self.process = None
        return int(process.returncode)

    def describe_exit(self, returncode: int) -> str:
        """How the one ended that was started last."""
        return self._memory_kills.describe_exit(returncode)

    def end_if_hung(self) -> None:
        """Its loop does not turn any more: it ends, and another one follows."""
        if self.process is not None and self._pulse.has_stopped():
            say(f"scoring server {self.number} (process {self.process.pid}) does not do anything any more; it is ended")
            self.process.kill()
            self._pulse.begin()

    def start_later(self) -> float:
        """Have another one started after it ended; returns in how many seconds."""
        delay_s = self._backoff.after(time.monotonic() - self._born)
        self.due_at = time.monotonic() + delay_s
        return delay_s

    def send(self, number: signal.Signals) -> None:
        """Have it finish what it holds and end."""
        if self.process is not None:
            self._told.write(number)
            self.process.send_signal(number)

"""Taking the socket over from the supervisor before this one, and giving it to the one that follows."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from modelport_scoring.control.client import ControlClient
from modelport_scoring.errors import ServiceNotRunning
from modelport_scoring.logs.journal import say
from modelport_scoring.sockets.handover import TAKEN_OVER, Handover
from modelport_scoring.sockets.meeting import HandoverFailed
from modelport_scoring.states import ServiceState
from modelport_scoring.supervision.told import LEAVE

READY_POLL_S = 0.1


class Succession:
    """Our part in it: the servers accept nothing before the gate opens, and finish what they hold once another one has
    the socket."""

    def __init__(self, handover: Handover, *, servers: int) -> None:
        """``servers``: how many are to be ready before we take over."""
        self._handover = handover
        self._servers = servers
        self._is_ending = False
        self.gate, self._gate_closer = os.pipe()
        """Two ends of a pipe: servers may accept connections once ours is closed."""

    @property
    def has_successor(self) -> bool:
        """Whether another one serves now in our place."""
        return self._handover.taken

    def end(self) -> bool:
        """The service ends: take nothing over any more, and be asked no more. Whether the socket is ours alone; else
        it must not be shut down, which would end it for all who have it."""
        self._is_ending = True
        self._handover.stop()
        return self._handover.is_ours

    def run(self) -> None:
        """Have connections accepted once all servers are ready, in the place of whoever did before; and be the one that
        the next one asks. For a thread of its own."""
        handover = self._handover
        try:
            if handover.waits:
                say("another one serves still; this one takes over once its workers are ready")
                while not self._all_ready():
                    time.sleep(READY_POLL_S)
                    if self._is_ending:
                        return
                handover.take_over()
                say(TAKEN_OVER)
            os.close(self._gate_closer)
            handover.serve(lambda: os.kill(os.getpid(), LEAVE))
        except HandoverFailed as error:
            say(f"nothing is taken over: {error}")
            os.kill(os.getpid(), signal.SIGTERM)

    def _all_ready(self) -> bool:
        try:
            servers = ControlClient(Path()).status().servers
        except ServiceNotRunning:
            return False
        return len(servers) == self._servers and all(one.state is ServiceState.RUNNING for one in servers)

    @property
    def farewell(self) -> str:
        """What the log says of our leaving."""
        if self._handover.taken:
            return "another one serves now; this one finishes what it holds, and ends"
        if self._handover.waits:
            return "this one ends without having served; another one serves still"
        return "this one finishes what it holds, and ends; the next one has its socket"

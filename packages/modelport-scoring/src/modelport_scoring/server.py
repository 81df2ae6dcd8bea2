"""The scoring server's process: started by the supervisor in the service's folder, with the socket already open."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

from modelport_scoring.control.leading import Follower, Leader
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.failures import Failure
from modelport_scoring.http.acceptor import Acceptor, Reception
from modelport_scoring.http.connection import Connection
from modelport_scoring.http.listener import Listener
from modelport_scoring.logs.complaints import take_complaints
from modelport_scoring.logs.journal import say, write_as
from modelport_scoring.processes.exit_statuses import STATUS_CANNOT_SERVE, STATUS_GIVEN_UP, STATUS_SCRIPT_FAILED
from modelport_scoring.processes.freed_memory import MANY_CLIENTS, IdleMemory, keep_freed_memory
from modelport_scoring.processes.resources import SPARE_DESCRIPTORS, raise_descriptor_limit
from modelport_scoring.service import Service
from modelport_scoring.service_folder import settings_of_moment, write_failure
from modelport_scoring.serving.routes import Routes
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.settings.share import Share
from modelport_scoring.sockets.handover import LEAST_LINGER_S, LINGER_S
from modelport_scoring.sockets.leaving import answer_newest, stop_listening
from modelport_scoring.status import Status
from modelport_scoring.supervision.listening import BACKLOG
from modelport_scoring.supervision.told import LEAVE, Told
from modelport_scoring.telemetry.counters import heads
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from modelport_scoring.tls.certificate import Certificate

COLLECT_AFTER = (20_000, 20, 50)
"""When Python's collector of cycles runs: requests leave none behind, so that looking often would be for nothing."""

ORPHANED_DRAIN_S = 1.0
"""After the supervisor was killed its successor waits for us."""

ALONE_DRAIN_S = 5.0
"""The most that a single server process takes for what it holds where another one is to follow it: until then nobody
accepts connections."""

WORD_S = 0.5
"""How long after a signal that is nobody's it may turn out that the whole service was told to stop: by Ctrl-C at a
terminal, or by systemd, which signals all of its processes, ours perhaps first."""


class Server:
    """One process of a service, on its listening socket, until it is told to stop."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        metrics: int,
        share: Share,
        lingers: bool = False,
    ) -> None:
        """``metrics``: descriptor of the memory that the supervisor keeps for them. ``lingers``: whoever sends clients
        here may not know of a stop at once. Raises SettingsInvalid."""
        self._loop = loop
        self._lingers = lingers
        self._certificate = None if settings.tls is None else Certificate(settings.tls, folder=Path.cwd())
        self._telemetry = Telemetry(
            settings.telemetry, service=described(settings), memory=metrics, process=share.process
        )
        self._service = Service(settings, folder=Path.cwd(), loop=loop, telemetry=self._telemetry, share=share)
        self._telemetry.gauges = self._service.gauges
        files = raise_descriptor_limit()
        self._listener = Listener(
            loop,
            most_connections=files - min(SPARE_DESCRIPTORS, files // 2),
            share=share,
            counts=self._telemetry,
        )
        self._routes = Routes(self._service)
        self._place: Leader | Follower = (Follower if share.process else Leader)(self)
        self._told = Told(metrics, process=share.process)
        self._stopped: asyncio.Future[float | None] = loop.create_future()
        self._given_up = False
        self._leaving = False
        self.is_shared = False
        """Whether another supervisor accepts on our socket, or may."""
        self._acceptors: list[asyncio.Server | Acceptor] = []
        self._reception = Reception(
            self._connect,
            tls=lambda: self._tls,
            room=lambda: self._listener.room(self._routes.limits),
            counted=self._telemetry.shake_hands,
            loop=loop,
        )
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        self._sweep_all()

    def _sweep_all(self) -> None:
        """Have all looked at, about once a second, that changes without anybody's telling."""
        sweep_with = self._listener.sweep_with
        sweep_with(self._service.sweep)
        sweep_with(self._telemetry.publish)
        sweep_with(self._catch_up)
        sweep_with(IdleMemory(lambda: self._service.large_moves, give_back=self._service.give_back).look)
        if self._certificate is not None:
            sweep_with(self._certificate.look)
        sweep_with(self._place.look)
        sweep_with(IdleMemory(self._activity).look)

    def _activity(self) -> int:
        """Changes with what takes memory: requests that are given to workers, and many clients, whether they ask for
        anything or not."""
        return self._service.given + (self._listener.ended + self._reception.ended) // MANY_CLIENTS

    async def run(
        self, listening: socket.socket, *, probed: socket.socket | None = None, lifeline: int, gate: int | None
    ) -> int:
        """Serve until ``stop``, a signal, or the end of the supervisor at the other end of ``lifeline``; returns the
        exit status.

        ``gate``: a descriptor whose other end is closed once connections may be accepted. The socket may be another
        supervisor's too then, and is not for us to shut down unless ours says that it is to stop. ``probed``: another
        socket for the same.
        """
        self.is_shared = gate is not None
        self._loop.add_reader(lifeline, self._orphaned)
        for number in (signal.SIGTERM, signal.SIGINT, LEAVE):
            self._loop.add_signal_handler(number, self._signalled, number)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the supervisor gets it too, where it is a stop
        await self._place.open()
        starting = self._loop.create_task(self._service.start())
        starting.add_done_callback(self._started)
        accepting = self._loop.create_task(self._accept([listening] if probed is None else [listening, probed], gate))
        settling = self._loop.create_task(self._place.settle(port=listening.getsockname()[1]))
        drain_timeout_s = await self._stopped
        self._loop.remove_reader(lifeline)
        accepting.cancel()
        if drain_timeout_s is None:
            drain_timeout_s = self._service.settings.limits.drain_timeout_s
        until = self._loop.time() + drain_timeout_s + (LINGER_S if self._leaving else 0.0)
        await self._take_leave(listening, probed, until=until)
        self._listener.stop()
        await self._service.stop(drain_timeout_s=max(0.0, until - self._loop.time()))
        await starting
        await self._listener.delivered(most_s=until - self._loop.time())
        settling.cancel()
        self._listener.stop()
        self._listener.close()
        self._place.close()
        self._telemetry.close()
        if self._given_up:
            return STATUS_GIVEN_UP
        return STATUS_SCRIPT_FAILED if self.ended_with_script else 0

    async def _take_leave(self, listening: socket.socket, probed: socket.socket | None, *, until: float) -> None:
        """Accept no more, but have those answered who have connected and are about to ask, have begun to, or are sent
        here by somebody who does not know yet."""
        now, leaving = self._loop.time(), self._leaving
        if not leaving:  # somebody waits for the end, and whoever sends without end must not put it off
            until = min(until, now + LINGER_S)
        if not (self.is_shared or self._given_up):
            await stop_listening(listening, self._reception, self._listener, is_leaving=leaving, until=until)
            if probed is not None:
                with contextlib.suppress(OSError):  # another process has
                    probed.shutdown(socket.SHUT_RDWR)
        self._stop_accepting()
        if self.is_shared and leaving:
            await self._listener.linger(least_s=LEAST_LINGER_S, idle_s=LINGER_S, most_s=until - now)
        elif self.is_shared or self._given_up:
            await answer_newest(self._listener, until=until)

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    async def _accept(self, sockets: list[socket.socket], gate: int | None) -> None:
        try:
            if gate is not None:
                opened = asyncio.Event()
                self._loop.add_reader(gate, opened.set)
                await opened.wait()
                self._loop.remove_reader(gate)
            for listening in sockets:
                self._acceptors.append(await self._listen(listening))
        except OSError as error:
            self._stopped.set_exception(error)

    async def _listen(self, listening: socket.socket) -> asyncio.Server | Acceptor:
        processes, own = self._service.share.processes, self._service.share.process
        if processes == 1 and self._certificate is None:
            return await self._loop.create_server(self._connect, sock=listening, backlog=BACKLOG)
        others = heads(self._telemetry.counters.memory, (other for other in range(processes) if other != own))
        acceptor = Acceptor(
            listening,
            accepted=self._reception.receive,
            gives_way=lambda: self._telemetry.gives_way_to(others),
            loop=self._loop,
        )
        acceptor.start()
        return acceptor

    @property
    def _tls(self) -> dict[str, Any]:
        """How the loop is to serve a connection."""
        return {} if self._certificate is None else self._certificate.options

    def stop(self) -> None:
        """Have ``run`` finish what is held and return, and so the whole service."""
        self._given_up = False
        self._stop(None)

    def _signalled(self, number: signal.Signals) -> None:
        """The whole service ends only where the supervisor has said so."""
        told = self._told.read()
        if told == LEAVE:
            self.leave()
        elif told:
            self._told_to_stop()
        else:
            self._loop.call_later(WORD_S, self.give_up, f"it got {number.name}, and not from its supervisor")

    def _told_to_stop(self) -> None:
        """By the supervisor, which knows that nobody else has its socket."""
        self.is_shared = False
        self._leaving = self._lingers
        self.stop()

    def leave(self) -> None:
        """As ``stop``, where another one accepts connections on the same socket now: no client is to notice it."""
        self._leaving = True
        self.stop()

    def give_up(self, why: str) -> None:
        """End this process alone: the supervisor starts another one in its place."""
        if self._stopped.done():
            return
        say(f"scoring server {self._service.share.process} is started anew: {why}")
        self._given_up = True
        others_serve = self._service.share.processes > 1
        self._stop(None if others_serve else min(ALONE_DRAIN_S, self._service.settings.limits.drain_timeout_s))

    def _catch_up(self) -> None:
        """Where the default revision did not start here, but does in another process, it is not the script's doing:
        what follows us tries until it does."""
        default = self._service.hosting.default
        if default.start_failure is not None and not self._given_up and self._telemetry.was_ready(default.number):
            self.give_up(f"revision {default.number} did not start here, but another one has it")

    @property
    def ended_with_script(self) -> bool:
        """Whether the script could not be started, and the service is to end then."""
        return self._service.settings.ends_with_script and self._service.failure is not None

    def _started(self, starting: asyncio.Task[None]) -> None:
        error = None if starting.cancelled() else starting.exception()
        if error is not None and not self._stopped.done():
            self._stopped.set_exception(error)  # the next process may fare better
        elif self._service.settings.ends_with_script and self._service.failure is not None:
            with contextlib.suppress(OSError):
                write_failure(Path.cwd(), self._service.failure)
            say("the script could not be started; the service ends")
            self.stop()

    def _orphaned(self) -> None:
        say("the supervisor has gone; the scoring server ends")
        self._place.close()
        self._stop(ORPHANED_DRAIN_S)

    def _stop(self, drain_timeout_s: float | None) -> None:
        if not self._stopped.done():
            self._stopped.set_result(drain_timeout_s)

    def _connect(self) -> Connection:
        return Connection(self._routes, self._listener)

    @property
    def service(self) -> Service:
        return self._service

    def status(self, *, switching: bool = False) -> Status:
        """How this process is."""
        return self._service.status(
            pid=os.getpid(), supervisor_pid=os.getppid(), started_at=self._started_at, switching=switching
        )


def described(settings: ServiceSettings) -> Described:
    """The service, for its spans."""
    return Described(settings.name, "http" if settings.tls is None else "https")


async def serve(
    listening: socket.socket,
    *,
    probed: socket.socket | None,
    lifeline: int,
    metrics: int,
    gate: int | None,
    share: Share,
    lingers: bool,
) -> int:
    """The life of the process; returns its exit status. Raises SettingsInvalid."""
    settings = settings_of_moment(Path.cwd(), port=listening.getsockname()[1])
    write_as(settings.telemetry.log_format)
    server = Server(settings, loop=asyncio.get_running_loop(), metrics=metrics, share=share, lingers=lingers)
    # What has been made so far lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    return await server.run(listening, probed=probed, lifeline=lifeline, gate=gate)


def main() -> int:
    """Read the descriptors from the command line and serve; returns the exit status."""
    parser = argparse.ArgumentParser(prog="modelport_scoring.server")
    parser.add_argument("--listen", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--probed", type=int, help="descriptor of another listening socket, for probes")
    parser.add_argument("--lifeline", type=int, required=True, help="descriptor that closes with the supervisor")
    parser.add_argument("--metrics", type=int, required=True, help="descriptor of the memory for metrics")
    parser.add_argument("--gate", type=int, help="descriptor that closes once connections may be accepted")
    parser.add_argument("--process", type=int, default=0, help="which of the service's processes this is")
    parser.add_argument("--processes", type=int, default=1, help="how many of them there are")
    parser.add_argument("--lingers", action="store_true", help="end connections without a request late at a stop")
    arguments = parser.parse_args()
    # The supervisor waits for these with its own mask, which a child inherits.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    listening = socket.socket(fileno=arguments.listen)
    listening.setblocking(False)
    probed = None if arguments.probed is None else socket.socket(fileno=arguments.probed)
    if probed is not None:
        probed.setblocking(False)
    keep_freed_memory()
    take_complaints()
    share = Share(arguments.process, arguments.processes)
    try:
        return uvloop.run(
            serve(
                listening,
                probed=probed,
                lifeline=arguments.lifeline,
                metrics=arguments.metrics,
                gate=arguments.gate,
                share=share,
                lingers=arguments.lingers,
            )
        )
    except SettingsInvalid as error:
        return give_up(error)


def give_up(error: SettingsInvalid) -> int:
    """Say why nothing can be served with these settings, for the supervisor and whoever deploys."""
    say(f"the service cannot be served: {error}")
    with contextlib.suppress(OSError):
        write_failure(Path.cwd(), Failure(phase="start", type=type(error).__name__, message=str(error)))
    return STATUS_CANNOT_SERVE


if __name__ == "__main__":
    sys.exit(main())

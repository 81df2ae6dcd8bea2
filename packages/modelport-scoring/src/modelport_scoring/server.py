"""The scoring server's process: started by the supervisor in the service's folder, with the socket already open."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import gc
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from modelport_scoring.control.endpoint import ControlEndpoint
from modelport_scoring.control.messages import Status
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.failures import Failure
from modelport_scoring.freed_memory import keep_freed_memory
from modelport_scoring.http.connection import Connection
from modelport_scoring.http.listener import Listener
from modelport_scoring.journal import say, write_as
from modelport_scoring.routes import Routes
from modelport_scoring.service import Service
from modelport_scoring.service_folder import read_settings, write_failure
from modelport_scoring.settings import ServiceSettings
from modelport_scoring.supervisor import STATUS_CANNOT_SERVE, STATUS_SCRIPT_FAILED
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.tls import HANDSHAKE_TIMEOUT_S, Certificate
from modelport_scoring.verbs import Verbs

BACKLOG = 1024
SPARE_DESCRIPTORS = 128
"""For workers, logs and the control socket; a connection must not take the last one."""

COLLECT_AFTER = (20_000, 20, 50)
"""When Python's collector of cycles runs: requests leave none behind, so that looking often would be for nothing."""

ORPHANED_DRAIN_S = 1.0
"""After the supervisor was killed its successor waits for us."""


class Server:
    """One service on one listening socket, until it is told to stop."""

    def __init__(self, settings: ServiceSettings, *, loop: asyncio.AbstractEventLoop, metrics: int) -> None:
        """``metrics``: descriptor of the memory that the supervisor keeps for them. Raises SettingsInvalid."""
        self._loop = loop
        self._certificate = None if settings.tls is None else Certificate(settings.tls, folder=Path.cwd())
        self._telemetry = Telemetry(settings.telemetry, service=settings.name, memory=metrics)
        self._service = Service(settings, folder=Path.cwd(), loop=loop, telemetry=self._telemetry)
        self._telemetry.gauges = self._service.gauges
        files = raise_descriptor_limit()
        self._listener = Listener(loop, most_connections=files - min(SPARE_DESCRIPTORS, files // 2))
        self._listener.sweep_with(self._service.sweep)
        self._listener.sweep_with(self._telemetry.publish)
        if self._certificate is not None:
            self._listener.sweep_with(self._certificate.look)
        self._routes = Routes(self._service)
        self._verbs = Verbs(self._service)
        self._control = ControlEndpoint(self._verbs, status=self._status, stop=self.stop)
        self._stopped: asyncio.Future[float | None] = loop.create_future()
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")

    async def run(self, listening: socket.socket, *, lifeline: int) -> None:
        """Serve until ``stop``, a signal, or the end of the supervisor at the other end of ``lifeline``."""
        self._loop.add_reader(lifeline, self._orphaned)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        await self._control.open()
        starting = self._loop.create_task(self._service.start())
        starting.add_done_callback(lambda _: self._started())
        server = await self._listen(listening)
        drain_timeout_s = await self._stopped
        self._loop.remove_reader(lifeline)
        # Not just closed: the supervisor holds it too, and clients would wait for nobody. It may have done it already.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        server.close()
        self._listener.stop()
        await self._service.stop(drain_timeout_s=drain_timeout_s)
        await starting
        self._listener.stop()
        self._listener.close()
        self._control.close()
        self._telemetry.close()

    async def _listen(self, listening: socket.socket) -> asyncio.Server:
        if self._certificate is None:
            return await self._loop.create_server(self._connect, sock=listening, backlog=BACKLOG)
        return await self._loop.create_server(
            self._connect,
            sock=listening,
            backlog=BACKLOG,
            ssl=self._certificate.context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
        )

    def stop(self) -> None:
        """Have ``run`` finish what is held and return."""
        self._stop(None)

    @property
    def ended_with_script(self) -> bool:
        """Whether the script could not be started, and the service is to end then."""
        return self._service.settings.ends_with_script and self._service.failure is not None

    def _started(self) -> None:
        if self.ended_with_script:
            say("the script could not be started; the service ends")
            self.stop()

    def _orphaned(self) -> None:
        say("the supervisor has gone; the scoring server ends")
        self._control.close()
        self._stop(ORPHANED_DRAIN_S)

    def _stop(self, drain_timeout_s: float | None) -> None:
        if not self._stopped.done():
            self._stopped.set_result(drain_timeout_s)

    def _connect(self) -> Connection:
        return Connection(self._routes, self._listener)

    def _status(self) -> Status:
        return self._service.status(
            pid=os.getpid(),
            supervisor_pid=os.getppid(),
            started_at=self._started_at,
            switching=self._verbs.is_busy,
        )


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may, and return how many those are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


async def serve(listening: socket.socket, *, lifeline: int, metrics: int) -> int:
    """The life of the process; returns its exit status. Raises SettingsInvalid."""
    # The socket is the truth about the port: somebody may have written the file anew since the supervisor read it.
    settings = msgspec.structs.replace(read_settings(Path.cwd()), port=listening.getsockname()[1])
    write_as(settings.telemetry.log_format)
    server = Server(settings, loop=asyncio.get_running_loop(), metrics=metrics)
    # What has been made so far lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    await server.run(listening, lifeline=lifeline)
    return STATUS_SCRIPT_FAILED if server.ended_with_script else 0


def main() -> int:
    """Read the descriptors from the command line and serve; returns the exit status."""
    parser = argparse.ArgumentParser(prog="modelport_scoring.server")
    parser.add_argument("--listen", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--lifeline", type=int, required=True, help="descriptor that closes with the supervisor")
    parser.add_argument("--metrics", type=int, required=True, help="descriptor of the memory for metrics")
    arguments = parser.parse_args()
    # The supervisor waits for these with its own mask, which a child inherits.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    listening = socket.socket(fileno=arguments.listen)
    listening.setblocking(False)
    keep_freed_memory()
    try:
        return uvloop.run(serve(listening, lifeline=arguments.lifeline, metrics=arguments.metrics))
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

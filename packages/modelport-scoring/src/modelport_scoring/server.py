"""The scoring server's process: started by the supervisor in the service's folder, with the socket already open."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import resource
import signal
import socket
from pathlib import Path

import msgspec
import uvloop

from modelport_scoring.control.endpoint import ControlEndpoint
from modelport_scoring.control.messages import Status
from modelport_scoring.http.connection import Connection
from modelport_scoring.http.listener import Listener
from modelport_scoring.journal import say
from modelport_scoring.routes import Routes
from modelport_scoring.service import Service
from modelport_scoring.service_folder import read_settings
from modelport_scoring.settings import ServiceSettings
from modelport_scoring.telemetry.telemetry import Telemetry

BACKLOG = 1024
SPARE_DESCRIPTORS = 128
"""For workers, logs and the control socket; a connection must not take the last one."""

ORPHANED_DRAIN_S = 1.0
"""After the supervisor was killed its successor waits for us."""


class Server:
    """One service on one listening socket, until it is told to stop."""

    def __init__(self, settings: ServiceSettings, *, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        telemetry = Telemetry(settings.telemetry, service=settings.name) if settings.telemetry.metrics else None
        self._service = Service(settings, folder=Path.cwd(), loop=loop, telemetry=telemetry)
        self._listener = Listener(loop, most_connections=raise_descriptor_limit() - SPARE_DESCRIPTORS)
        self._listener.sweep_with(self._service)
        self._routes = Routes(self._service)
        self._control = ControlEndpoint(self._service, status=self._status, stop=self.stop)
        self._stopped: asyncio.Future[float | None] = loop.create_future()
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")

    async def run(self, listening: socket.socket, *, lifeline: int) -> None:
        """Serve until ``stop``, a signal, or the end of the supervisor at the other end of ``lifeline``."""
        self._loop.add_reader(lifeline, self._orphaned)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        await self._control.open()
        starting = self._loop.create_task(self._service.start())
        server = await self._loop.create_server(self._connect, sock=listening, backlog=BACKLOG)
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

    def stop(self) -> None:
        """Have ``run`` finish what is held and return."""
        self._stop(None)

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
        return self._service.status(pid=os.getpid(), supervisor_pid=os.getppid(), started_at=self._started_at)


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may, and return how many those are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


async def serve(listening: socket.socket, *, lifeline: int) -> None:
    """The life of the process."""
    # The socket is the truth about the port: somebody may have written the file anew since the supervisor read it.
    settings = msgspec.structs.replace(read_settings(Path.cwd()), port=listening.getsockname()[1])
    await Server(settings, loop=asyncio.get_running_loop()).run(listening, lifeline=lifeline)


def main() -> None:
    """Read the two descriptors from the command line and serve."""
    parser = argparse.ArgumentParser(prog="modelport_scoring.server")
    parser.add_argument("--listen", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--lifeline", type=int, required=True, help="descriptor that closes with the supervisor")
    arguments = parser.parse_args()
    # The supervisor waits for these with its own mask, which a child inherits.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    listening = socket.socket(fileno=arguments.listen)
    listening.setblocking(False)
    uvloop.run(serve(listening, lifeline=arguments.lifeline))


if __name__ == "__main__":
    main()

"""``python -m modelport_scoring.router --settings FILE``: the router's process, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from modelport_scoring.container.last_word import leave_last_word
from modelport_scoring.container.settings_file import LOOK_S, but, digest_of, read_content
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.http.acceptor import Acceptor, Reception
from modelport_scoring.http.listener import Listener
from modelport_scoring.logs.journal import say
from modelport_scoring.processes.exit_statuses import STATUS_FAILED
from modelport_scoring.processes.freed_memory import MANY_CLIENTS, IdleMemory
from modelport_scoring.processes.resources import SPARE_DESCRIPTORS, raise_descriptor_limit
from modelport_scoring.router.client import ClientConnection
from modelport_scoring.router.metrics import Metrics
from modelport_scoring.router.routing import Routing
from modelport_scoring.router.settings import FIXED, RouterSettings, decode_router_settings
from modelport_scoring.sockets.handover import LINGER_S
from modelport_scoring.sockets.leaving import stop_listening
from modelport_scoring.supervision.listening import BACKLOG, CannotServe, open_socket
from modelport_scoring.tls.certificate import Certificate

COLLECT_AFTER = (20_000, 20, 50)


class RouterProcess:
    """Listens by the settings of a file, and takes over what changes in it."""

    def __init__(self, file: Path, content: bytes, *, loop: asyncio.AbstractEventLoop) -> None:
        """Raises SettingsInvalid."""
        self._file = file
        self._judged = content
        self._loop = loop
        settings = decode_router_settings(content, path=file)
        folder = file.parent
        self._certificate = None if settings.tls is None else Certificate(settings.tls, folder=folder)
        metrics = Metrics()
        self._routing = Routing(settings, loop=loop, metrics=metrics)
        files = raise_descriptor_limit()
        # each request takes two: its client's connection, and that to a server
        self._listener = Listener(loop, most_connections=(files - min(SPARE_DESCRIPTORS, files // 2)) // 2)
        self._routing.date_line = lambda: self._listener.date_line
        metrics.gauges["connections"] = lambda: len(self._listener)
        self._listener.sweep_with(self._routing.sweep)
        if self._certificate is not None:
            self._listener.sweep_with(self._certificate.look)
        self._reception = Reception(
            self._connect,
            tls=lambda: self._tls,
            room=lambda: self._listener.room(self._routing.settings.limits),
            loop=loop,
        )
        self._listener.sweep_with(IdleMemory(self._activity).look)
        self._stopped = asyncio.Event()
        self._said = ""

    def _activity(self) -> int:
        """Changes with what takes memory: requests, and many clients, whether they ask for anything or not."""
        ended = self._listener.ended + self._reception.ended
        return self._routing.metrics.answers.total() + ended // MANY_CLIENTS

    async def run(self) -> None:
        """Serve until a signal. Raises CannotServe where it cannot listen."""
        settings = self._routing.settings
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stopped.set)
        listening = open_socket(settings.host, settings.port)
        listening.setblocking(False)
        port = listening.getsockname()[1]
        acceptor = await self._accept(listening)
        say(f"the router of {settings.name} listens on {settings.host}, port {port}")
        watching = self._loop.create_task(self._watch())
        await self._stopped.wait()
        watching.cancel()
        until = self._loop.time() + LINGER_S + settings.limits.drain_timeout_s
        await stop_listening(listening, self._reception, self._listener, is_leaving=True, until=until)
        acceptor.close()
        await self._listener.linger(least_s=0.0, idle_s=0.0, most_s=until - self._loop.time())
        await self._listener.delivered(most_s=until - self._loop.time())
        self._listener.stop()
        for upstream in self._routing.upstreams.values():
            upstream.close()
        self._listener.close()
        say("the router has stopped")

    async def _accept(self, listening: socket.socket) -> asyncio.Server | Acceptor:
        if self._certificate is None:
            return await self._loop.create_server(self._connect, sock=listening, backlog=BACKLOG)
        acceptor = Acceptor(listening, accepted=self._reception.receive, gives_way=lambda: False, loop=self._loop)
        acceptor.start()
        return acceptor

    @property
    def _tls(self) -> dict[str, Any]:
        return {} if self._certificate is None else self._certificate.options

    def _connect(self) -> ClientConnection:
        return ClientConnection(
            self._routing, self._listener, scheme=b"http" if self._certificate is None else b"https"
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            content = b""
            try:
                content = read_content(self._file)
                if content != self._judged:
                    self._take_over(content)
            except SettingsInvalid as error:
                which = f"of {self._file} (sha256 {digest_of(content)[:12]})"
                text = f"the new settings {which} are not taken over, the old ones stay in force: {error}"
                if text != self._said:
                    self._said = text
                    say(text)

    def _take_over(self, content: bytes) -> None:
        """Raises SettingsInvalid."""
        now, wanted = self._routing.settings, decode_router_settings(content, path=self._file)
        self._judged, self._said = content, ""
        kept = [name for name in FIXED if getattr(now, name) != getattr(wanted, name)]
        merged: RouterSettings = msgspec.structs.replace(wanted, **{name: getattr(now, name) for name in FIXED})
        self._routing.adopt(merged)
        say(f"the new settings of {self._file} (sha256 {digest_of(content)[:12]}) are in force{but(kept)}")


async def serve(file: Path) -> None:
    """Raises SettingsInvalid, CannotServe and OSError."""
    router = RouterProcess(file, read_content(file), loop=asyncio.get_running_loop())
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    await router.run()


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after a stop, 1 where it cannot route."""
    parser = argparse.ArgumentParser(
        prog="python -m modelport_scoring.router", description="Divide requests among the versions of an endpoint."
    )
    parser.add_argument("--settings", type=Path, required=True, help="router.json (docs/architecture/14-router.md)")
    arguments = parser.parse_args(argv)
    try:
        uvloop.run(serve(arguments.settings.absolute()))
    except (SettingsInvalid, CannotServe, OSError) as error:
        text = f"the router cannot serve: {error}"
        say(text)
        leave_last_word(text)
        return STATUS_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())

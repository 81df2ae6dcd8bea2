"""Which of a service's server processes leads, and what the others do (docs/adr/0008-several-server-processes.md)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Protocol

import msgspec

from modelport_scoring.control.dialect import dialect
from modelport_scoring.control.endpoint import ControlEndpoint
from modelport_scoring.control.peers import PeerEndpoint, Peers
from modelport_scoring.control.verbs import Verbs
from modelport_scoring.errors import SettingsInvalid, SettingsUnread
from modelport_scoring.logs.journal import say
from modelport_scoring.service import Service
from modelport_scoring.service_folder import settings_of_moment
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.status import Status, together
from modelport_scoring.version import __version__

READ_AGAIN_S = 0.1
"""After settings could not be read."""


class Process(Protocol):
    """One server process of a service, as far as its place among them matters."""

    @property
    def service(self) -> Service:
        """The part of the service that it is."""

    def status(self, *, switching: bool = False) -> Status:
        """How this process is."""

    def give_up(self, why: str) -> None:
        """End this process alone: the supervisor starts another one in its place."""


class Leader:
    """The first process of a service: it is asked by the control plane, and tells the others."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self._supervisor = os.getppid()
        self._peers = Peers(server.service.share.processes)
        self._verbs = Verbs(server.service, self._peers)
        self._control = ControlEndpoint(self._verbs, status=self._status, stop=self._stop)

    async def open(self) -> None:
        """Listen to whoever gives orders. Raises OSError."""
        await self._control.open()

    async def settle(self, *, port: int) -> None:
        """Another one may have died in the middle of a verb: what it had written down is in force, and nothing else."""
        await self._peers.settle(lambda: self._server.service.settings)

    def look(self) -> None:
        """See that orders can be given. Called about once a second."""
        self._control.look()

    def close(self) -> None:
        self._control.close()

    async def _status(self) -> Status:
        others = await self._peers.statuses()
        status = together(self._server.status(switching=self._verbs.is_busy), others)
        return msgspec.structs.replace(status, version=__version__, dialect=dialect())

    def _stop(self) -> None:
        """Have the supervisor tell all processes: then they end for good, however each of them does, and it knows
        whether another one has the socket too."""
        if os.getppid() == self._supervisor:  # else it has gone, and so do we
            os.kill(self._supervisor, signal.SIGTERM)


class Follower:
    """Any other process of a service: it does what the first one says."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self._port = 0
        self._endpoint = PeerEndpoint(
            server.service,
            process=server.service.share.process,
            status=server.status,
            give_up=server.give_up,
            reopened=self._catch_up,
        )

    async def open(self) -> None:
        """Listen to whoever gives orders. Raises OSError."""
        await self._endpoint.open()

    async def settle(self, *, port: int) -> None:
        """The settings may have been written anew between our reading them and our listening."""
        self._port = port
        await self._catch_up(was_long=False)

    async def _catch_up(self, was_long: bool) -> None:
        """Have in force what the file says, which was written while nobody could tell us. ``was_long``: so long that
        the leader took us for ended: what we have prepared is for nobody, though it was not told so."""
        with contextlib.suppress(SettingsInvalid):
            settings = await self._settings_of_moment()
            if was_long or settings != self._server.service.settings:
                await self._endpoint.settle(settings)

    async def _settings_of_moment(self) -> ServiceSettings:
        """Where the file cannot be read, for want of a descriptor for example, as soon as it can: the leader relies on
        our reading it, and a key that was taken away would be good here. Raises SettingsInvalid for what is none."""
        is_said = False
        while True:
            try:
                return settings_of_moment(Path.cwd(), port=self._port)
            except SettingsUnread as error:
                if not is_said:
                    say(f"the settings of the moment cannot be read yet: {error}")
                is_said = True
                await asyncio.sleep(READ_AGAIN_S)

    def look(self) -> None:
        """See that orders can be given. Called about once a second."""
        self._endpoint.look()

    def close(self) -> None:
        self._endpoint.close()

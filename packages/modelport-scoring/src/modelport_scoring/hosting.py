"""The revisions of a service, and how they change while requests come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from modelport_scoring.errors import RequestRefused, SettingsInvalid, SwitchFailed, SwitchInProgress
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.hosted import Hosted
from modelport_scoring.journal import Journal, say
from modelport_scoring.revision import Revision, prepare
from modelport_scoring.service_folder import SETTINGS, check_settings, log_path
from modelport_scoring.settings import RevisionSettings, ServiceSettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.traffic.settings import Traffic, without
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.ticket import Refusal, Ticket


class Owner(Protocol):
    """The service, as far as its revisions need it."""

    @property
    def settings(self) -> ServiceSettings:
        """Those of this moment."""

    def save(self, settings: ServiceSettings) -> None:
        """Write them down, and have them in force. Raises SettingsInvalid and OSError, and changes nothing."""

    def revisions_changed(self) -> None:
        """Others are hosted now, or one has come further, or the traffic is another."""


class Hosting:
    """One revision is the default one; others are beside it. Every change is written down before it takes effect."""

    def __init__(self, owner: Owner, *, folder: Path, loop: asyncio.AbstractEventLoop, telemetry: Telemetry) -> None:
        settings = owner.settings
        self.default = Hosted(settings.revision)
        self.others = {revision.number: Hosted(revision) for revision in settings.others}
        self.is_busy = False
        """Whether a verb is under way that excludes others."""
        self._owner = owner
        self._folder = folder
        self._loop = loop
        self._telemetry = telemetry
        self._incoming: Revision | None = None
        """Being brought up, and not hosted yet."""
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def all(self) -> list[Hosted]:
        """What is hosted, the default one first."""
        return [self.default, *self.others.values()]

    @property
    def running(self) -> list[Revision]:
        """What has workers, or will have them in a moment."""
        revisions = [hosted.revision for hosted in self.all]
        return [revision for revision in (*revisions, self._incoming) if revision is not None]

    # --- beginning and end --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start what the settings say, at once. What fails is kept with its failure, and not tried again."""
        await asyncio.gather(*(self._start(hosted) for hosted in self.all))

    async def stop(self, *, drain_timeout_s: float) -> None:
        """Finish what is held, end all workers, and remove the working folders."""
        self._stopping = True
        await asyncio.gather(*(self._end(revision, drain_timeout_s) for revision in self.running))
        await asyncio.gather(*self._ending.values())

    async def _start(self, hosted: Hosted) -> None:
        try:
            revision = await self._prepare(hosted.settings)
            if self._stopping or hosted not in self.all:
                await revision.remove_folder()
                return
            hosted.revision = revision
            self._owner.revisions_changed()
            await revision.start()
        except StartFailed as failed:
            if self._stopping or hosted not in self.all:
                return
            hosted.start_failure = failed.failure
            self._tell_of_failed_start(hosted.number, failed.failure)
        self._owner.revisions_changed()

    def _tell_of_failed_start(self, number: int, failure: Failure) -> None:
        say(f"revision {number} did not start (phase {failure.phase}): {failure.message}")
        what = "the service" if number == self.default.number else "the revision"
        Journal(log_path(self._folder, number)).write(f"modelport: {what} failed to start: {failure.message}")

    # --- verbs --------------------------------------------------------------------------------------------------------

    async def switch(self, revision: RevisionSettings) -> None:
        """Start the revision beside the default one, then put it in its place. The others go on.

        Raises SwitchInProgress, RequestRefused, and SwitchFailed: then all goes on as if nothing had happened.
        """
        with self._alone(), self._failing(f"the switch to revision {revision.number}"):
            self._refuse_running(revision.number)
            successor = await self._bring_up(revision, settings_after=self._settings_after_switch)
            retired, self.default = self.default, Hosted(revision, revision=successor)
            self._owner.revisions_changed()
            self._retire(retired, successor=successor)

    async def host(self, revision: RevisionSettings) -> None:
        """Start the revision beside those that run. It gets no requests before it is given a weight.

        Raises as ``switch`` does.
        """
        with self._alone(), self._failing(f"hosting revision {revision.number}"):
            self._refuse_running(revision.number)
            ready = await self._bring_up(revision, settings_after=self._settings_after_host)
            self.others[revision.number] = Hosted(revision, revision=ready)
            self._owner.revisions_changed()

    async def release(self, number: int) -> None:
        """Take the revision its share, have it finish what it holds, and end it. Raises SwitchInProgress and
        RequestRefused."""
        with self._alone():
            if number == self.default.number:
                raise RequestRefused(f"revision {number} is the default one: promote or switch to another one first")
            hosted = self._find(number)
            settings = self._owner.settings
            others = [revision for revision in settings.others if revision.number != number]
            self._save(msgspec.structs.replace(settings, others=others, traffic=without(settings.traffic, number)))
            del self.others[number]
            self._owner.revisions_changed()
            ended = self._retire(hosted)
        if ended is not None:
            await asyncio.shield(ended)

    def promote(self, number: int) -> None:
        """Make a hosted revision the default one, and the default one a hosted one. Raises SwitchInProgress and
        RequestRefused."""
        with self._alone():
            if number == self.default.number:
                raise RequestRefused(f"revision {number} is the default one already")
            hosted = self._find(number)
            if not hosted.is_ready:
                raise RequestRefused(f"revision {number} has no worker that takes requests; it is {hosted.state}")
            self._save(self._settings_after_promotion(hosted))
            retired, self.default = self.default, hosted
            del self.others[number]
            self.others[retired.number] = retired
            self._owner.revisions_changed()
            if retired.revision is not None and hosted.revision is not None:
                move(retired.revision.pool.line.clear(), old=retired.revision.pool, new=hosted.revision.pool)

    def split(self, traffic: Traffic) -> None:
        """Divide requests so from now on. Allowed at any time: a share must be taken away from a bad revision also
        while another one starts. Raises RequestRefused."""
        self._save(msgspec.structs.replace(self._owner.settings, traffic=traffic))
        self._owner.revisions_changed()

    # --- settings -----------------------------------------------------------------------------------------------------

    def _settings_after_switch(self, revision: RevisionSettings) -> ServiceSettings:
        settings = self._owner.settings
        traffic = without(settings.traffic, settings.revision.number)
        return msgspec.structs.replace(settings, revision=revision, traffic=traffic)

    def _settings_after_host(self, revision: RevisionSettings) -> ServiceSettings:
        settings = self._owner.settings
        return msgspec.structs.replace(settings, others=[*settings.others, revision])

    def _settings_after_promotion(self, hosted: Hosted) -> ServiceSettings:
        settings = self._owner.settings
        others = [revision for revision in settings.others if revision.number != hosted.number]
        traffic = without(settings.traffic, hosted.number)
        return msgspec.structs.replace(
            settings, revision=hosted.settings, others=[*others, settings.revision], traffic=traffic
        )

    # --- steps --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.is_busy or self._stopping:
            raise SwitchInProgress("the service stops" if self._stopping else "another switch has not ended yet")
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except StartFailed as failed:
            say(f"{what} failed: {failed.failure.message}")
            raise SwitchFailed(failed.failure) from failed

    def _refuse_running(self, number: int) -> None:
        if number == self.default.number:
            raise StartFailed(Failure(phase="start", message=f"revision {number} is the one that runs"))
        if number in self.others:
            message = f"revision {number} is hosted already: promote it, or release it first"
            raise StartFailed(Failure(phase="start", message=message))

    def _find(self, number: int) -> Hosted:
        hosted = self.others.get(number)
        if hosted is None:
            numbers = ", ".join(str(known.number) for known in self.all)
            raise RequestRefused(f"revision {number} is not hosted, only {numbers}")
        return hosted

    def _save(self, settings: ServiceSettings) -> None:
        try:
            self._owner.save(settings)
        except (SettingsInvalid, OSError) as error:
            raise RequestRefused(unwritten(error)) from error

    async def _prepare(self, revision: RevisionSettings) -> Revision:
        settings = msgspec.structs.replace(self._owner.settings, revision=revision)
        return await prepare(settings, folder=self._folder, loop=self._loop, telemetry=self._telemetry)

    async def _bring_up(
        self, revision: RevisionSettings, *, settings_after: Callable[[RevisionSettings], ServiceSettings]
    ) -> Revision:
        """Start its workers, wait until they are ready, and write down the settings: those of the moment then, which
        may have been changed meanwhile. Raises StartFailed and RequestRefused; then nothing of it is left."""
        check(settings_after(revision))
        if revision.number in self._ending:
            await asyncio.shield(self._ending[revision.number])  # its working folder has the same name
        incoming = self._incoming = await self._prepare(revision)
        try:
            await incoming.start()
            self._save_or_fail(settings_after(revision))
        except (StartFailed, RequestRefused):
            await self._end(incoming, timeout_s=0)
            raise
        finally:
            self._incoming = None
        return incoming

    def _save_or_fail(self, settings: ServiceSettings) -> None:
        try:
            self._owner.save(settings)
        except SettingsInvalid as error:
            raise RequestRefused(str(error)) from error
        except OSError as error:
            raise StartFailed(Failure(phase="start", type=type(error).__name__, message=unwritten(error))) from error

    def _retire(self, hosted: Hosted, *, successor: Revision | None = None) -> asyncio.Task[None] | None:
        """Have it finish what it holds and end. What waits for it goes to the successor, where there is one."""
        revision = hosted.revision
        if revision is None:
            return None
        if successor is not None:
            move(revision.pool.hand_over(), old=revision.pool, new=successor.pool)
        task = self._loop.create_task(self._end(revision, self._owner.settings.limits.drain_timeout_s))
        self._ending[hosted.number] = task
        task.add_done_callback(lambda _: self._ending.pop(hosted.number))
        return task

    async def _end(self, revision: Revision, timeout_s: float) -> None:
        untouched = await revision.pool.drain(timeout_s)
        await revision.remove_folder()
        default = self.default.revision
        for ticket in untouched:
            if default is None or default is revision or self._stopping or ticket.tied:
                ticket.refused(Refusal.NO_WORKER)
            else:
                default.pool.take_over([ticket])


def move(tickets: list[Ticket], *, old: Pool, new: Pool) -> None:
    """Have the tickets of one pool go on in another, but for those that only the old one may answer."""
    new.take_over(ticket for ticket in tickets if not ticket.tied)
    old.take_over(ticket for ticket in tickets if ticket.tied)


def check(settings: ServiceSettings) -> None:
    """Raise RequestRefused for settings that cannot be."""
    try:
        check_settings(settings, path=Path(SETTINGS))
    except SettingsInvalid as error:
        raise RequestRefused(str(error)) from error


def unwritten(error: SettingsInvalid | OSError) -> str:
    """One sentence on why the settings are not in force."""
    if isinstance(error, SettingsInvalid):
        return str(error)
    return f"{SETTINGS} could not be written: {error.strerror}"

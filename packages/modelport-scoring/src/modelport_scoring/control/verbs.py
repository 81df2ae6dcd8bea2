"""What the control socket can ask of a service: each verb is a change of its settings, in force whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from modelport_scoring.control.changeable import as_far_as_changeable
from modelport_scoring.control.peers import Peers
from modelport_scoring.errors import RequestRefused, SettingsInvalid, SwitchFailed, SwitchInProgress
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.logs.journal import say
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.revisions.hosting import Hosting
from modelport_scoring.service import Service
from modelport_scoring.service_folder import SETTINGS
from modelport_scoring.settings.checks import check_settings
from modelport_scoring.settings.service import Changes, RevisionSettings, RevisionSize, ServiceSettings
from modelport_scoring.settings.traffic import Traffic, renamed, without

Change = Callable[[ServiceSettings], ServiceSettings]
"""Makes the settings that a verb is about from those of the moment: others may have changed them meanwhile."""


class Verbs:
    """Verbs that start workers exclude each other, and those that rely on what is hosted; the others need not wait."""

    def __init__(self, service: Service, peers: Peers) -> None:
        """``peers``: the other processes of the service, where every verb is in force too, or in none."""
        self.is_busy = False
        """Whether a verb is under way that excludes others."""
        self._service = service
        self._peers = peers

    async def switch(self, revision: RevisionSettings, *, replacing: int | None, changes: Changes) -> None:
        """Start the revision beside the default one, or beside the hosted one that is named, then put it in its place,
        with its share, and with other settings where some are given. The others go on.

        Raises SwitchInProgress, RequestRefused, and SwitchFailed: then all goes on as if nothing had happened.
        """

        def change(settings: ServiceSettings) -> ServiceSettings:
            return changes.applied_to(replaced(settings, retired.number, revision))

        with self._alone(), failing(f"the switch to revision {revision.number}"):
            self._refuse_running(revision.number)
            retired = self._hosting.default if replacing is None else self._find(replacing)
            await self._bring_about(change)

    async def host(self, revision: RevisionSettings) -> None:
        """Start the revision beside those that run. It gets no requests before it is given a weight.

        Raises as ``switch`` does.
        """

        def change(settings: ServiceSettings) -> ServiceSettings:
            return msgspec.structs.replace(settings, others=[*settings.others, revision])

        with self._alone(), failing(f"hosting revision {revision.number}"):
            self._refuse_running(revision.number)
            await self._bring_about(change)

    async def release(self, number: int) -> None:
        """Take the revision its share, have it finish what it holds, and end it. Raises SwitchInProgress and
        RequestRefused."""
        with self._alone():
            if number == self._hosting.default.number:
                raise RequestRefused(f"revision {number} is the default one: promote or switch to another one first")
            self._find(number)
            await self._put_in_force(lambda settings: without_revision(settings, number))
        await asyncio.gather(self._hosting.ended(number), self._peers.ended(number))

    async def promote(self, number: int) -> None:
        """Make a hosted revision the default one, and the default one a hosted one without a share, whatever its weight
        was while it got the rest. Raises SwitchInProgress and RequestRefused."""

        def change(settings: ServiceSettings) -> ServiceSettings:
            released = without_revision(settings, number)
            others = [*released.others, settings.revision]
            traffic = without(released.traffic, settings.revision.number)
            return msgspec.structs.replace(released, revision=hosted.settings, others=others, traffic=traffic)

        with self._alone():
            if number == self._hosting.default.number:
                raise RequestRefused(f"revision {number} is the default one already")
            hosted = self._find(number)
            if not hosted.is_ready:
                raise RequestRefused(f"revision {number} has no worker that takes requests; it is {hosted.state}")
            await self._put_in_force(change)

    async def split(self, traffic: Traffic) -> None:
        """Divide requests so from now on. Allowed at any time: a share must be taken away from a bad revision also
        while another one starts. Raises RequestRefused."""
        await self._put_in_force(lambda settings: msgspec.structs.replace(settings, traffic=traffic))

    async def scale(self, number: int, size: RevisionSize) -> None:
        """Give one revision a number of workers of its own, or take it away. Raises RequestRefused."""
        self._find(number)
        await self._put_in_force(lambda settings: resized(settings, number, size))

    async def configure(self, changes: Changes) -> None:
        """Replace what is given. Where workers have to be others, new ones of all revisions come up beside the old
        ones and take over. Raises as ``switch`` does; SwitchInProgress only in that case."""
        now = self._service.settings
        if changes.applied_to(now).worker_options == now.worker_options:
            await self._put_in_force(changes.applied_to)
            return
        with self._alone(), failing("the change of the workers"):
            await self._bring_about(changes.applied_to)

    async def apply(self, settings: ServiceSettings) -> list[str]:
        """Have all of these in force at once: what is hosted, how requests are divided, and all that ``configure``
        changes. Returns the names of what stays as it is until the service is started again.

        Raises as ``switch`` does.
        """
        kept: list[str] = []

        def change(now: ServiceSettings) -> ServiceSettings:
            merged, kept[:] = as_far_as_changeable(now, settings)
            return merged

        with self._alone(), failing("the change of the settings"):
            default = self._hosting.find(settings.revision.number)
            if default is not None and default is not self._hosting.default and not default.is_ready:
                raise RequestRefused(f"revision {default.number} has no worker that takes requests: {default.state}")
            await self._bring_about(change)
        return kept

    # --- steps --------------------------------------------------------------------------------------------------------

    @property
    def _hosting(self) -> Hosting:
        return self._service.hosting

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.is_busy or self._hosting.stopping:
            reason = "the service stops" if self._hosting.stopping else "another switch has not ended yet"
            raise SwitchInProgress(reason)
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False

    def _refuse_running(self, number: int) -> None:
        if number == self._hosting.default.number:
            raise StartFailed(Failure(phase="start", message=f"revision {number} is the one that runs"))
        if number in self._hosting.others:
            message = f"revision {number} is hosted already: promote it, or release it first"
            raise StartFailed(Failure(phase="start", message=message))

    def _find(self, number: int) -> Hosted:
        hosted = self._hosting.find(number)
        if hosted is None:
            numbers = ", ".join(str(known.number) for known in self._hosting.all)
            raise RequestRefused(f"revision {number} is not hosted, only {numbers}")
        return hosted

    async def _bring_about(self, change: Change) -> None:
        """Bring up what is needed, then have it in force. Raises StartFailed and RequestRefused: nothing is changed."""
        settings = change(self._service.settings)
        check(settings)
        try:
            await self._prepare(settings)
            self._write(change(self._service.settings))
        except Exception:  # a fault of ours, or no memory, leaves no workers behind either
            await self._discard()
            raise
        await self._peers.adopt(self._settings)

    async def _prepare(self, settings: ServiceSettings) -> None:
        """In all processes. Raises StartFailed as soon as one fails."""
        preparing = [asyncio.ensure_future(each) for each in self._peers.prepare(settings)]
        preparing.append(asyncio.ensure_future(self._hosting.prepare(settings)))
        for each in preparing:  # where the loop ends before all have, asyncio would log what nobody asked for
            each.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        done, others = await asyncio.wait(preparing, return_when=asyncio.FIRST_EXCEPTION)
        if others:
            await self._discard()
            await asyncio.wait(others)
        failures = [error for each in (*done, *others) if (error := each.exception()) is not None]
        if failures:
            raise failures[0]

    async def _discard(self) -> None:
        await asyncio.gather(self._hosting.discard(), self._peers.discard())

    def _settings(self) -> ServiceSettings:
        return self._service.settings

    async def _put_in_force(self, change: Change) -> None:
        """Raises RequestRefused, and changes nothing."""
        try:
            self._write(change(self._service.settings))
        except StartFailed as failed:
            raise RequestRefused(failed.failure.message) from failed
        await self._peers.adopt(self._settings)

    def _write(self, settings: ServiceSettings) -> None:
        try:
            self._service.put_in_force(settings)
        except SettingsInvalid as error:
            raise RequestRefused(str(error)) from error
        except OSError as error:
            message = f"{SETTINGS} could not be written: {error.strerror}"
            raise StartFailed(Failure(phase="start", type=type(error).__name__, message=message)) from error


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Tell of a start that failed, and raise SwitchFailed for it."""
    try:
        yield
    except StartFailed as failed:
        say(f"{what} failed: {failed.failure.message}")
        raise SwitchFailed(failed.failure) from failed


def replaced(settings: ServiceSettings, number: int, revision: RevisionSettings) -> ServiceSettings:
    """The settings with the revision in the place of another one."""
    if number == settings.revision.number:
        traffic = without(settings.traffic, number)
        return msgspec.structs.replace(settings, revision=revision, traffic=traffic)
    others = [revision if other.number == number else other for other in settings.others]
    traffic = renamed(settings.traffic, number, revision.number)
    return msgspec.structs.replace(settings, others=others, traffic=traffic)


def without_revision(settings: ServiceSettings, number: int) -> ServiceSettings:
    """The settings where that one is not hosted beside the default one, and has no share."""
    others = [revision for revision in settings.others if revision.number != number]
    return msgspec.structs.replace(settings, others=others, traffic=without(settings.traffic, number))


def resized(settings: ServiceSettings, number: int, size: RevisionSize) -> ServiceSettings:
    """The settings where that revision has that size."""

    def fit(revision: RevisionSettings) -> RevisionSettings:
        if revision.number != number:
            return revision
        return msgspec.structs.replace(revision, workers=size.workers, autoscale=size.autoscale)

    others = [fit(revision) for revision in settings.others]
    return msgspec.structs.replace(settings, revision=fit(settings.revision), others=others)


def check(settings: ServiceSettings) -> None:
    """Raise RequestRefused for settings that cannot be."""
    try:
        check_settings(settings, path=Path(SETTINGS))
    except SettingsInvalid as error:
        raise RequestRefused(str(error)) from error

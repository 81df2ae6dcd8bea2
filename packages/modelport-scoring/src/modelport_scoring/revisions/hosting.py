"""The revisions that run for a service, and how others come in their place while requests come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import msgspec

from modelport_scoring.failures import Failure, GivenUp, StartFailed
from modelport_scoring.logs.journal import Journal, say
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.revisions.draining import Draining
from modelport_scoring.revisions.earlier_starts import EarlierStarts
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.revisions.preparations import Preparations
from modelport_scoring.revisions.revision import Revision, prepare
from modelport_scoring.service_folder import clear_work, log_path
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings, WorkerOptions, limits_of
from modelport_scoring.settings.share import Share
from modelport_scoring.states import ServiceState
from modelport_scoring.telemetry.telemetry import Telemetry


class Owner(Protocol):
    """The service, as far as its revisions need it."""

    @property
    def settings(self) -> ServiceSettings:
        """Those of this moment."""

    @property
    def share(self) -> Share:
        """Our part of the service."""

    def revisions_changed(self) -> None:
        """Others are hosted now, or one has come further, or the settings are others."""


class Hosting:
    """One revision is the default one; others are beside it.

    A change has two halves: ``prepare`` brings up what new settings need, which takes its time and may fail; ``adopt``
    has them in force, at once.
    """

    def __init__(self, owner: Owner, *, folder: Path, loop: asyncio.AbstractEventLoop, telemetry: Telemetry) -> None:
        settings = owner.settings
        self.default = Hosted(settings.revision, options=settings.worker_options)
        self.others = {
            revision.number: Hosted(revision, options=settings.worker_options) for revision in settings.others
        }
        self.stopping = False
        self._stopped = asyncio.Event()
        self._owner = owner
        self._folder = folder
        self._loop = loop
        self._telemetry = telemetry
        self._earlier = EarlierStarts(folder, telemetry)
        self._has_folders = asyncio.Event()
        """Whether what was there at the start has its working folders."""
        self._prepared = Preparations()
        """What waits for ``adopt``."""
        self._preparing = asyncio.Lock()
        self._draining = Draining(self, loop=loop)
        self._tries: set[asyncio.Task[None]] = set()
        """Starts that nobody waits for."""

    @property
    def all(self) -> list[Hosted]:
        """What is hosted, the default one first."""
        return [self.default, *self.others.values()]

    @property
    def running(self) -> list[Revision]:
        """What has workers, or will have them in a moment."""
        return [hosted.revision for hosted in (*self.all, *self._prepared.all) if hosted.revision is not None]

    def settings_changed(self, settings: ServiceSettings) -> None:
        """Work by these, as far as the workers that are there can."""
        for hosted in (*self.all, *self._prepared.all):
            hosted.settings_changed(settings)

    def find(self, number: int) -> Hosted | None:
        """What is hosted by that number."""
        return self.default if number == self.default.number else self.others.get(number)

    # --- beginning and end --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start what the settings say, at once. What fails is kept with its failure, and not tried again, unless it had
        come up before: then it is tried until it does, or is wanted no more."""
        hosted = self.all
        await asyncio.to_thread(clear_work, self._folder, self._owner.share, keep=[each.number for each in hosted])
        if not self._owner.settings.ends_with_script:  # else whoever sees its end has it tried again
            self._earlier.recall(hosted)
        await asyncio.gather(*(self._make_revision(each) for each in hosted))
        self._has_folders.set()
        self._owner.revisions_changed()
        await asyncio.gather(*(self._start(each) for each in hosted))

    async def stop(self, *, drain_timeout_s: float) -> None:
        """Finish what is held, end all workers, and remove the working folders. Those that were retired before have no
        more time for that than the others."""
        self.stopping = True
        self._stopped.set()
        hurry = self._loop.call_later(drain_timeout_s, self._draining.hurry)
        await asyncio.gather(*(self._draining.end(revision, drain_timeout_s) for revision in self.running))
        await self._draining.all_ended()
        hurry.cancel()

    async def _make_revision(self, hosted: Hosted) -> None:
        settings = self._owner.settings
        try:
            revision = await self._prepare(hosted.settings, settings)
        except StartFailed as failed:
            if self._earlier.knows(hosted):
                hosted.late_failure = failed.failure
            else:
                self._start_failed(hosted, failed.failure)
            return
        if self.stopping or hosted not in self.all:  # it was released, or another one has its place
            await revision.leave_folder()
        else:
            hosted.revision, hosted.options = revision, settings.worker_options
            hosted.late_failure = None

    async def _make_in_the_end(self, hosted: Hosted) -> None:
        """Try again where the working folder could not be made, for want of room on the disk for example."""
        backoff = BackOff()
        while hosted.late_failure is not None:
            delay_s = backoff.after(0.0)
            say(f"revision {hosted.number} does not start yet, but in {delay_s:g} s: {hosted.late_failure.message}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), delay_s)
            async with self._preparing:
                if self.stopping or hosted not in self.all:
                    return
                if hosted.number not in self._prepared:  # else others work in a folder of that name already
                    await self._make_revision(hosted)
        self._owner.revisions_changed()

    async def _start(self, hosted: Hosted) -> None:
        if hosted.late_failure is not None:
            await self._make_in_the_end(hosted)
        if hosted.revision is None:
            return
        try:
            await hosted.revision.start(is_proven=self._earlier.knows(hosted))
            self._earlier.note(hosted)
        except StartFailed as failed:
            self._start_failed(hosted, failed.failure)
        self._owner.revisions_changed()

    def _start_failed(self, hosted: Hosted, failure: Failure) -> None:
        if self.stopping or hosted not in self.all:
            return
        hosted.start_failure = failure
        say(f"revision {hosted.number} did not start (phase {failure.phase}): {failure.message}")
        what = "the service" if hosted is self.default else "the revision"
        Journal(log_path(self._folder, hosted.number)).write(f"modelport: {what} failed to start: {failure.message}")

    # --- change -------------------------------------------------------------------------------------------------------

    async def prepare(self, settings: ServiceSettings) -> None:
        """Bring up the workers that these settings ask for and that are not there: of revisions that are not hosted,
        and of all, where workers are to be others. They get no requests before ``adopt``.

        Raises StartFailed; then what was brought up besides waits for ``discard``. GivenUp: that came meanwhile.
        """
        with self._prepared.asked(settings) as was_given_up:
            await self._has_folders.wait()
            if self._has_all(settings):
                return  # a share, or a key, is not taken away only once a revision has come up that another verb starts
            async with self._preparing:
                for revision in settings.revisions:
                    if self._is_missing(revision.number, settings.worker_options):
                        await self._bring_up(revision, settings, was_given_up)
            if was_given_up():  # after it had come up
                raise GivenUp

    def adopt(self, settings: ServiceSettings) -> None:
        """Have these settings in force. What they do not name any more finishes what it holds, and ends."""
        before, was = self.all, self.default
        placed = {revision.number: self._place(revision, settings) for revision in settings.revisions}
        self.default = placed.pop(settings.revision.number)
        self.others = placed
        self._owner.revisions_changed()
        for hosted in before:
            if hosted not in self.all:
                self._draining.retire(hosted, successor=successor_of(hosted, before=before, after=self.all))
        for hosted in self.all:
            hosted.take_copies(hosted.number == settings.traffic.shadow)
        if was is not self.default and was in self.all and was.revision is not None:
            self._draining.pass_on(was.revision.pool.line.clear(), was.revision, self.default)

    async def discard(self) -> None:
        """End what was prepared, and give up what is being prepared."""
        await self._draining.discard(self._prepared.give_up())

    def wants(self, settings: ServiceSettings) -> bool:
        """Whether what is prepared, or is being, is what these settings need."""
        return self._prepared.are_for(settings, hosted=self.find)

    async def ended(self, number: int) -> None:
        """Wait until all workers that a revision of that number had before have ended."""
        await self._draining.ended(number)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _has_all(self, settings: ServiceSettings) -> bool:
        """Whether all that the settings name is hosted, with workers as they are to be."""
        hosted = [self.find(revision.number) for revision in settings.revisions]
        return all(each is not None and each.options == settings.worker_options for each in hosted)

    def _is_missing(self, number: int, options: WorkerOptions) -> bool:
        hosted = self.find(number)
        if self._prepared.has(number, options):
            return False
        if hosted is None:
            return True
        if hosted.options == options:
            return False
        # One beside the default that has failed would only fail again, and keep the others from their new workers.
        return hosted.state is not ServiceState.FAILED or hosted is self.default

    async def _bring_up(
        self, settings: RevisionSettings, service: ServiceSettings, was_given_up: Callable[[], bool]
    ) -> None:
        present = self.find(settings.number)
        if present is not None and present.revision is not None:
            revision = present.revision.renewed(for_revision(service, settings))
        else:
            await self.ended(settings.number)  # its working folder has the same name
            revision = await self._prepare(settings, service)
        if was_given_up() or self.stopping:
            await revision.leave_folder()
            raise self._given_up()
        predecessor = present or predecessor_of(settings.number, service, default=self.default, others=self.others)
        if predecessor is not None and predecessor.revision is not None:
            revision.begin_with(predecessor.revision.pool.wanted)
        prepared = Hosted(settings, options=service.worker_options, revision=revision)
        self._prepared.add(prepared)
        try:
            await revision.start()
            self._earlier.note(prepared)
        except StartFailed:
            self._prepared.forget(prepared)
            await self._draining.end(revision, timeout_s=0)
            if self.stopping or was_given_up():  # its workers were killed by us, which the failure does not say
                raise self._given_up() from None
            raise

    def _given_up(self) -> StartFailed:
        return StartFailed(Failure(phase="start", message="the scoring server ends")) if self.stopping else GivenUp()

    async def _prepare(self, revision: RevisionSettings, service: ServiceSettings) -> Revision:
        settings = for_revision(service, revision)
        return await prepare(
            settings, folder=self._folder, loop=self._loop, telemetry=self._telemetry, share=self._owner.share
        )

    def _place(self, revision: RevisionSettings, settings: ServiceSettings) -> Hosted:
        """What is to be hosted for these settings: what was prepared for them, or what is hosted already."""
        number, hosted, options = revision.number, self.find(revision.number), settings.worker_options
        if self._prepared.has(number, options) and (hosted is None or hosted.options != options):
            hosted = self._prepared.take(number)
        assert hosted is not None, "settings are prepared before they are adopted"
        hosted.settings = revision
        return hosted if hosted.options == options else self._tried_otherwise(hosted, settings)

    def _tried_otherwise(self, hosted: Hosted, settings: ServiceSettings) -> Hosted:
        """One that is tried until it comes up, as it did under an earlier supervisor, from now on with workers as these
        settings say."""
        if not hosted.comes_back or hosted.revision is None or hosted.is_ready:
            return hosted
        try:
            revision = hosted.revision.renewed(for_revision(settings, hosted.settings))
        except StartFailed as failed:
            say(f"revision {hosted.number} is tried with workers as before, not others: {failed.failure.message}")
            return hosted
        other = Hosted(hosted.settings, options=settings.worker_options, revision=revision)
        other.comes_back = True
        self._tries.add(task := self._loop.create_task(self._start(other)))
        task.add_done_callback(self._tries.discard)
        return other


def predecessor_of(
    number: int, service: ServiceSettings, *, default: Hosted, others: Mapping[int, Hosted]
) -> Hosted | None:
    """In whose place a revision comes that is not hosted yet, under these settings: it gets that one's share."""
    if number == service.revision.number:
        return default
    kept = {each.number for each in service.revisions}
    return next((hosted for other, hosted in others.items() if other not in kept), None)


def successor_of(retired: Hosted, *, before: Iterable[Hosted], after: Sequence[Hosted]) -> Hosted | None:
    """What has taken its place: the same revision with other workers, or the one that was not there before."""
    known = {hosted.number for hosted in before}
    same = (hosted for hosted in after if hosted.number == retired.number)
    new = (hosted for hosted in after if hosted.number not in known)
    return next(chain(same, new), None)


def for_revision(service: ServiceSettings, revision: RevisionSettings) -> ServiceSettings:
    """The service's settings as they are for one of its revisions."""
    return msgspec.structs.replace(service, revision=revision, limits=limits_of(service, revision))

"""One revision while it runs: its working folder, its workers, and what they said of the script."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport_scoring.bundle import BundleInvalid, FolderInPlace, Manifest, WorkingFolder, read_manifest
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.logs.journal import Journal, say
from modelport_scoring.openapi import Documents, check_user_documents, find_user_documents
from modelport_scoring.service_folder import log_path, work_path
from modelport_scoring.settings.origins import parse_origins
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings, limits_of
from modelport_scoring.settings.share import Share
from modelport_scoring.settings.size import size_of
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.workers.autoscaler import Autoscaler
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import plan_launch
from modelport_scoring.workers.pool import Pool


class Revision:
    """Made by ``prepare``; its workers run between ``start`` and the end of its pool."""

    def __init__(
        self,
        service: ServiceSettings,
        manifest: Manifest,
        folder: WorkingFolder,
        *,
        log: Path,
        loop: asyncio.AbstractEventLoop,
        telemetry: Telemetry,
        share: Share,
    ) -> None:
        """Of ``service.revision``, in the folder that was made for it; raises OSError and ValueError."""
        self.number = service.revision.number
        launch = plan_launch(service, manifest, app=folder.app, log=log, caller=os.environ)
        self._share = share
        self._size = share.size(size_of(service, service.revision))
        self.pool = Pool(
            launch,
            revision=self.number,
            size=self._size.fitted(self._size.workers),
            limits=share.limits(service.limits),
            loop=loop,
            observer=Counted(telemetry, self.number),
        )
        self.cors_origins = parse_origins(launch.environment.get("AML_CORS_ORIGINS", ""))
        """What the revision's environment says of them."""
        self._manifest = manifest
        self._folder = folder
        self._log = log
        self._loop = loop
        self._telemetry = telemetry
        self._has_started = self._has_left = False
        self._autoscaler: Autoscaler | None = None
        self._documents: Documents | None = None
        self._documented: ServiceSettings | None = None
        folder.enter()

    @property
    def contract(self) -> Contract | None:
        return self.pool.contract

    async def start(self, *, is_proven: bool = False) -> None:
        """Start the workers and wait until they are ready. Raises StartFailed; then none is left. ``is_proven``: they
        were ready before, and are tried until they are again; or their end comes first, which is StartFailed too."""
        await self.pool.start(is_proven=is_proven)
        self._has_started = True
        self._scale()

    def renewed(self, service: ServiceSettings) -> Revision:
        """The same in the same folder, with workers of its own, as these settings say. Raises StartFailed, phase
        ``start``."""
        with failing_start():
            return Revision(
                service,
                self._manifest,
                self._folder,
                log=self._log,
                loop=self._loop,
                telemetry=self._telemetry,
                share=self._share,
            )

    def begin_with(self, workers: int) -> None:
        """Before ``start``: have so many workers, where the load decides on their number, as its predecessor has."""
        if self._size.autoscale is not None:
            self.pool.resize(self._size.fitted(max(workers, self._size.workers)))

    def settings_changed(self, service: ServiceSettings, revision: RevisionSettings) -> None:
        """Work by these from now on, as far as the same workers can."""
        self.pool.limits = self._share.limits(limits_of(service, revision))
        size = self._share.size(size_of(service, revision))
        if size != self._size:
            self._size = size
            if self._has_started:
                self._scale()

    def _scale(self) -> None:
        """Have as many workers as is said, or go on from as many as there are by the load."""
        if self._autoscaler is not None:
            self._autoscaler.stop()
            self._autoscaler = None
        self.pool.resize(self._size.fitted(self.pool.wanted))
        if self._size.autoscale is not None:
            self._autoscaler = Autoscaler(self.pool, self._size.autoscale, loop=self._loop, journal=Journal(self._log))

    def documents(self, service: ServiceSettings) -> Documents | None:
        """The OpenAPI documents, None until a worker has told what they say."""
        if self._documented is not service and self.contract is not None:
            self._documented = service
            supplied = find_user_documents(folders_of_code(self._folder.app, self._manifest))
            self._documents = Documents(service, self.contract, supplied=supplied)
        return self._documents

    async def leave_folder(self) -> None:
        """Once its workers have ended: remove the working folder, unless the same revision goes on in it."""
        if not self._has_left:
            self._has_left = True
            if self._folder.leave():
                await remove(self._folder)


class Counted:
    """Counts what happens to the workers of one revision."""

    def __init__(self, telemetry: Telemetry, revision: int) -> None:
        self._telemetry = telemetry
        self._revision = revision

    def worker_ready(self) -> None:
        self._telemetry.became_ready(self._revision)

    def worker_restarted(self) -> None:
        self._telemetry.worker_restarted(self._revision)

    def batch_redone(self) -> None:
        self._telemetry.batch_redone(self._revision)


async def prepare(
    service: ServiceSettings, *, folder: Path, loop: asyncio.AbstractEventLoop, telemetry: Telemetry, share: Share
) -> Revision:
    """Make the working folder of the settings' revision, where it has no app root, and the pool that will run in it.

    Raises StartFailed, phase ``start``, where the bundle or the disk does not allow it.
    """
    number = service.revision.number
    log = log_path(folder, number)
    root = service.revision.app_root
    path = work_path(folder, number, process=share.process)
    work = WorkingFolder(path) if root is None else FolderInPlace(Path(root))
    try:
        with failing_start():
            manifest = await asyncio.to_thread(_prepare_files, Path(service.revision.bundle), work)
            Journal(log).write(f"modelport: revision {number} starts from {service.revision.bundle}")
            return Revision(service, manifest, work, log=log, loop=loop, telemetry=telemetry, share=share)
    except StartFailed:
        await remove(work)
        raise


@contextmanager
def failing_start() -> Iterator[None]:
    """Raise StartFailed, phase ``start``, for what keeps a revision from being made: the bundle, the disk, an origin or
    a document that is none or a path with a zero byte (ValueError), no thread to be had (RuntimeError)."""
    try:
        yield
    except (BundleInvalid, OSError, ValueError, RuntimeError) as error:
        raise StartFailed(Failure(phase="start", type=type(error).__name__, message=str(error))) from error


async def remove(folder: WorkingFolder) -> None:
    """Remove it beside the event loop. Where the system has no thread for that, or no descriptors, it stays until the
    revision or its server is started the next time: both begin with removing it."""
    why = "the system did not allow it"
    try:
        is_gone = await asyncio.to_thread(folder.remove)
    except RuntimeError as error:
        is_gone, why = False, str(error)
    if not is_gone:
        say(f"what is left at {folder.app.parent} is not removed yet: {why}")


def _prepare_files(bundle: Path, work: WorkingFolder) -> Manifest:
    manifest = read_manifest(bundle)
    work.fill(bundle)
    check_user_documents(folders_of_code(work.app, manifest))
    return manifest


def folders_of_code(app: Path, manifest: Manifest) -> list[Path]:
    """Where the user may have put an OpenAPI document."""
    return [app] if manifest.source_directory is None else [app, app / manifest.source_directory]

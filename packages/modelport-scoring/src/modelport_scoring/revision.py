"""One revision while it runs: its working folder, its workers, and what they said of the script."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from modelport_scoring.bundle import BundleInvalid, make_working_folder, read_manifest, remove_working_folder
from modelport_scoring.cors import parse_origins
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.journal import Journal
from modelport_scoring.openapi import Documents, find_user_documents
from modelport_scoring.service_folder import log_path, work_path
from modelport_scoring.settings import RevisionSettings, ServiceSettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.workers.autoscaler import Autoscaler
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch, plan_launch
from modelport_scoring.workers.pool import Pool
from modelport_scoring.workers.size import Size, size_of


class Revision:
    """Made by ``prepare``; its workers run between ``start`` and the end of ``end``."""

    def __init__(
        self,
        settings: RevisionSettings,
        *,
        pool: Pool,
        size: Size,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        work: Path,
        source_directory: str | None,
        cors_origins: Sequence[str],
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.cors_origins = cors_origins
        """What the revision's environment says of them (``AML_CORS_ORIGINS``)."""
        self._size = size
        self._autoscaler: Autoscaler | None = None
        self._has_started = False
        self._journal = journal
        self._loop = loop
        self._work = work
        self._source_directory = source_directory
        self._documents: Documents | None = None
        self._documented: ServiceSettings | None = None

    @property
    def number(self) -> int:
        return self.settings.number

    @property
    def contract(self) -> Contract | None:
        return self.pool.contract

    async def start(self) -> None:
        """Start the workers and wait until they are ready. Raises StartFailed; then none is left."""
        await self.pool.start()
        self._has_started = True
        self._scale()

    def settings_changed(self, service: ServiceSettings) -> None:
        """Work by these from now on."""
        self.pool.limits = service.limits
        size = size_of(service, self.settings)
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
            self._autoscaler = Autoscaler(self.pool, self._size.autoscale, loop=self._loop, journal=self._journal)

    def documents(self, service: ServiceSettings) -> Documents | None:
        """The OpenAPI documents, None until a worker has told what they say."""
        if self._documented is not service and self.contract is not None:
            self._documented = service
            folders = [self._work / "app"]
            if self._source_directory is not None:
                folders.append(self._work / "app" / self._source_directory)
            self._documents = Documents(service, self.contract, supplied=find_user_documents(folders))
        return self._documents

    async def remove_folder(self) -> None:
        """Remove the working folder, once the workers have ended."""
        await asyncio.to_thread(remove_working_folder, self._work)


class Counted:
    """Counts what happens to the workers of one revision."""

    def __init__(self, telemetry: Telemetry, revision: int) -> None:
        self._telemetry = telemetry
        self._revision = revision

    def worker_restarted(self) -> None:
        self._telemetry.worker_restarted(self._revision)

    def batch_redone(self) -> None:
        self._telemetry.batch_redone(self._revision)


async def prepare(
    service: ServiceSettings, *, folder: Path, loop: asyncio.AbstractEventLoop, telemetry: Telemetry
) -> Revision:
    """Make the working folder of the settings' revision and the pool that will run in it.

    Raises StartFailed, phase ``start``, where the bundle or the disk does not allow it.
    """
    revision = service.revision
    work = work_path(folder, revision.number)
    try:
        launch, source_directory = await asyncio.to_thread(_prepare_files, service, work=work, folder=folder)
    except (BundleInvalid, OSError) as error:
        await asyncio.to_thread(remove_working_folder, work)
        raise StartFailed(Failure(phase="start", type=type(error).__name__, message=str(error))) from error
    size = size_of(service, revision)
    pool = Pool(
        launch,
        revision=revision.number,
        size=size.fitted(size.workers),
        limits=service.limits,
        loop=loop,
        observer=Counted(telemetry, revision.number),
    )
    origins = parse_origins(launch.environment.get("AML_CORS_ORIGINS", ""))
    return Revision(
        revision,
        pool=pool,
        size=size,
        journal=Journal(launch.log),
        loop=loop,
        work=work,
        source_directory=source_directory,
        cors_origins=origins,
    )


def _prepare_files(service: ServiceSettings, *, work: Path, folder: Path) -> tuple[Launch, str | None]:
    bundle = Path(service.revision.bundle)
    manifest = read_manifest(bundle)
    app = make_working_folder(bundle, work=work)
    log = log_path(folder, service.revision.number)
    Journal(log).write(f"modelport: revision {service.revision.number} starts from {bundle}")
    return plan_launch(service, manifest, app=app, log=log, caller=os.environ), manifest.source_directory

"""The revisions of a service that runs: started, handed over, divided and ended through its control socket."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from modelport.domain.errors import ConflictException, DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service
from modelport.targets.local.logs import last_lines_of
from modelport.targets.serving.failures import from_scoring, goes_on_as_before
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.observing import other_version
from modelport.targets.serving.service import revision_settings, traffic
from modelport.targets.serving.settings import version_size
from modelport_scoring import (
    Changes,
    ControlClient,
    RequestRefused,
    ServiceNotRunning,
    SwitchFailed,
    SwitchInProgress,
    __version__,
    log_path,
    supervisor_pid,
)

ANSWERS_WITHIN_S = 45.0
"""A scoring server that died is started again after 30 s at the latest, and then has to start."""

_PAUSE_S = 0.1


class Hosting:
    """Of one service. Every method raises ConflictException while another one brings up a revision, and
    WebserviceException where the scoring server is gone or refuses."""

    def __init__(self, service: Service, folder: Path, *, model_data: ModelData | None = None) -> None:
        self._service = service
        self._folder = folder
        self._client = ControlClient(folder)
        self._model_data = model_data

    def switch(self, number: int, bundle: Path, *, replacing: int | None, changes: Changes) -> None:
        """Raises DeploymentFailed where the revision does not come up."""
        with self._translated(number):
            revision = revision_settings(self._service, number, bundle, model_data=self._model_data)
            self._client.switch(revision, replacing=replacing, changes=changes)

    def change(self, changes: Changes) -> None:
        """Nothing happens where the service does not run: the next start writes the settings anew. A scoring server
        that has died is waited for: the one that follows begins with the settings that were written before, and with
        the keys among them. Raises DeploymentFailed where workers have to be others, and do not come up."""
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while self._runs:
            try:
                with self._refusals(self._service.active_revision):
                    self._client.change(changes)
                return
            except ServiceNotRunning as error:
                if time.monotonic() > deadline:
                    raise self._silent(error) from error
            time.sleep(_PAUSE_S)

    @property
    def _runs(self) -> bool:
        """Whether there is somebody to tell; also where that cannot be known, for want of a descriptor for one."""
        try:
            return supervisor_pid(self._folder) is not None
        except OSError:
            return True

    def _silent(self, error: ServiceNotRunning) -> WebserviceException:
        name = self._service.name
        text = f"The service {name!r} runs and does not answer, so that it goes on with its old settings: {error}."
        return goes_on_as_before(name, text)

    def host(self, number: int, bundle: Path) -> None:
        """Raises DeploymentFailed where the revision does not come up."""
        with self._translated(number):
            self._client.host(revision_settings(self._service, number, bundle, model_data=self._model_data))

    def promote(self, number: int) -> None:
        with self._translated(number):
            self._client.promote(number)

    def release(self, number: int) -> None:
        with self._translated(number):
            self._client.release(number)

    def scale(self, number: int) -> None:
        version = next(version for version in self._service.versions if version.revision == number)
        sizes = version_size(self._service.deployment, version.deployment)
        with self._translated(number):
            self._client.scale(number, **sizes)

    def split(self) -> None:
        with self._translated(self._service.active_revision):
            self._client.split(traffic(self._service))

    @contextlib.contextmanager
    def _translated(self, number: int) -> Iterator[None]:
        try:
            with self._refusals(number):
                yield
        except ServiceNotRunning as error:
            raise WebserviceException(
                f"The service {self._service.name!r} stopped answering during the update: {error}.",
                hint="Look at its state; modelport up starts what should run.",
            ) from error

    @contextlib.contextmanager
    def _refusals(self, number: int) -> Iterator[None]:
        """What the scoring server refuses, in our words; ``number``: the revision whose log says more."""
        name = self._service.name
        try:
            yield
        except SwitchFailed as error:
            log = last_lines_of(log_path(self._folder, number), count=50)
            raise DeploymentFailed(from_scoring(error.failure, log=log)) from error
        except SwitchInProgress as error:
            raise ConflictException(f"The service {name!r} is being updated already.") from error
        except RequestRefused as error:
            started_by = other_version(self._client.status())
            if started_by is None:
                raise WebserviceException(f"The service {name!r} refused the settings: {error}.") from error
            raise DeploymentFailed(_needs_restart(name, started_by, str(error))) from error


def _needs_restart(name: str, started_by: str, refusal: str) -> Failure:
    """What to do about a scoring server of another version (docs/upgrading.md)."""
    return Failure(
        phase=Phase.START,
        message=f"The service {name!r} was started by another Modelport ({started_by}; this is {__version__}), whose "
        f"scoring server does not know what it is asked: {refusal}.",
        hint=f"Start it again with this version, and then update: modelport service restart -n {name}. Connections are "
        "refused for about a second meanwhile; modelport up --restart does so for all services that need it.",
    )

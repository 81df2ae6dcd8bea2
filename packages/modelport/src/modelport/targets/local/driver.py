"""Running services on this machine: each by a supervisor of its own, started detached."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from modelport.domain.deployments import Deployment
from modelport.domain.errors import StoreException
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import NONE_BESIDE, Observation, Usage
from modelport.targets.local.confinement import Confinement, confined
from modelport.targets.local.devices import check_gpus
from modelport.targets.local.failures import supervisor_failure
from modelport.targets.local.hosting import Hosting
from modelport.targets.local.logs import last_lines_of, with_supervisor
from modelport.targets.local.plan import LocalPlan, plan, with_hosted
from modelport.targets.local.size import check_size
from modelport.targets.local.usage import usage_of_session
from modelport.targets.serving.certificates import COPIES, check_certificate, copy_certificate
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.observing import observation_of
from modelport.targets.serving.ports import check_address
from modelport.targets.serving.service import Trust, auth_settings
from modelport.targets.serving.settings import changes, check_deployment, restarting_changes, shown_settings
from modelport_scoring import (
    Changes,
    ControlClient,
    Limits,
    ServiceNotRunning,
    ServiceSettings,
    SettingsInvalid,
    Status,
    log_path,
    read_settings,
    supervisor_command,
    supervisor_log_path,
    supervisor_pid,
    write_settings,
)

_START_S = 60.0
"""A supervisor that has neither answered nor ended after this long never will. It takes a fraction of a second; but of
many at once each takes longer, and one that follows another one waits for what that left behind."""
_KILL_AFTER_S = 10.0
"""How much longer than the drain timeout a stop may take before the processes are killed."""
_PAUSE_S = 0.01
_BYTES_PER_GB = 2**30
_LINES_WITH_MOMENTS = 5000
"""So many lines are looked at, though fewer are asked for: what a script prints does not say when it was written."""


class LocalTarget:
    """Services as processes of this machine, one folder each below ``root``."""

    def __init__(
        self,
        root: Path,
        *,
        workspace: str,
        trust: Trust | None = None,
        model_data: ModelData | None = None,
        ends_with_process: int | None = None,
        confinement: Confinement | None = None,
    ) -> None:
        """``trust`` tells whose tokens a service is to accept; ``model_data``, where scripts store what they collect;
        ``ends_with_process``, with whom services end; ``confinement``, what they may use."""
        self._root = root
        self._workspace = workspace
        self._trust = trust
        self._model_data = model_data
        self._ends_with_process = ends_with_process
        self._confinement = confinement or Confinement()

    def folder(self, name: str) -> Path:
        """The service's folder (docs/architecture/03-data-plane.md)."""
        return self._root / name

    def check(self, name: str, deployment: Deployment) -> None:
        """Raise WebserviceException for an address that is taken or not this machine's, GPUs that it does not have, or
        more workers than it should start; UserErrorException for settings that no scoring server would take, or a
        certificate that cannot be used."""
        check_size(deployment)  # first: it speaks of replicas, the scoring server of workers alone
        check_deployment(deployment)
        check_certificate(deployment)
        check_gpus(deployment.gpu_cores or 0)
        check_address(deployment.host or "127.0.0.1", deployment.port)

    def keep_certificate(self, name: str, deployment: Deployment) -> None:
        """Copy the certificate and its key into the service's folder; the scoring server looks there every second."""
        copy_certificate(deployment, self.folder(name))

    def certificate(self, service: Service) -> Path | None:
        """The copy in the service's folder."""
        return self.folder(service.name) / COPIES.certificate if service.deployment.ssl_enabled else None

    def start(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> Observation:
        """Write ``service.json`` and start the supervisor; returns when it listens, or when it has failed."""
        folder = self.folder(service.name)
        todo = self._plan(service, bundle, beside=beside)
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            # An endpoint's row says which versions it has; of other services the scoring server alone knows.
            present = None if service.versions else settings_of(folder)
            settings = replace(todo.settings, ends_with_process=self._ends_with_process)
            write_settings(folder, with_hosted(settings, present=present))
            process = _spawn(folder, self._confinement)
        except OSError as error:
            raise StoreException(
                f"The service cannot be started in {folder}: {error}.",
                hint="Free some space, or set MODELPORT_HOME to a folder that can be written.",
            ) from error
        observation = self._first_observation(service, process)
        if observation.active_revision not in (None, service.active_revision):
            # Somebody who was killed had started a supervisor a moment ago, and that one has the lock.
            self.switch(service, service.active_revision, bundle)
            return self.observe(service)
        return observation

    @contextlib.contextmanager
    def briefly(self) -> Iterator[LocalTarget]:
        """One in a folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
            yield LocalTarget(Path(folder), workspace=self._workspace, trust=self._trust, ends_with_process=os.getpid())

    @contextlib.contextmanager
    def confined(self, *, cpu: float, memory_gb: float) -> Iterator[LocalTarget]:
        """As ``briefly``, with control groups where this machine's user may make them (``confinement``)."""
        with (
            confined(cpu=cpu, memory_bytes=int(memory_gb * _BYTES_PER_GB)) as confinement,
            tempfile.TemporaryDirectory(prefix="modelport-") as folder,
        ):
            yield LocalTarget(
                Path(folder),
                workspace=self._workspace,
                trust=self._trust,
                ends_with_process=os.getpid(),
                confinement=confinement,
            )

    @property
    def not_enforced(self) -> Sequence[str]:
        """What of the limits is not enforced."""
        return self._confinement.notes

    @property
    def killed_for_memory(self) -> bool:
        """Whether the system has ended a process for its memory."""
        return self._confinement.killed_for_memory

    def usage(self, service: Service) -> Usage:
        """Of the supervisor, the scoring server, its workers, and what these have started."""
        pid = supervisor_pid(self.folder(service.name))
        return Usage(cpu_s=0.0, memory_bytes=0, peak_memory_bytes=0) if pid is None else usage_of_session(pid)

    def _plan(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> LocalPlan:
        return plan(
            service,
            workspace=self._workspace,
            folder=self.folder(service.name),
            bundles={**beside, service.active_revision: bundle},
            trust=self._trust,
            model_data=self._model_data,
        )

    def _changes(self, service: Service) -> Changes:
        return changes(service.deployment, auth_settings(service, trust=self._trust))

    def _first_observation(self, service: Service, process: subprocess.Popen[bytes]) -> Observation:
        status = self._first_status(service.name, over=lambda: process.poll() is not None)
        if status is not None:
            return observation_of(status)
        failure = supervisor_failure(self.folder(service.name))
        return Observation(state=ServiceState.FAILED, failure=failure, port=service.port)

    def _first_status(self, name: str, *, over: Callable[[], bool]) -> Status | None:
        """The status of a service that may be on its way up: None when that is over, or has taken too long."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            is_over = over()
            status = self._status(name)
            if status is not None or (is_over and supervisor_pid(self.folder(name)) is None):
                return status
            time.sleep(_PAUSE_S)
        return None

    def switch(self, service: Service, number: int, bundle: Path, *, replacing: int | None = None) -> None:
        """Returns when revision ``number`` has taken over, with the service's settings. Those of an endpoint never come
        with a revision."""
        changes = Changes() if service.versions else self._changes(service)
        self._hosting(service).switch(number, bundle, replacing=replacing, changes=changes)

    def host(self, service: Service, number: int, bundle: Path) -> None:
        """Returns when revision ``number`` is ready."""
        self._hosting(service).host(number, bundle)

    def promote(self, service: Service, number: int) -> None:
        """Hand what no other revision is given over to that one, and what waits for the active one."""
        self._hosting(service).promote(number)

    def release(self, service: Service, number: int) -> None:
        """Returns when it has ended."""
        self._hosting(service).release(number)

    def scale(self, service: Service, number: int) -> None:
        """Workers that are added are not waited for."""
        self._hosting(service).scale(number)

    def split(self, service: Service) -> None:
        """In force from the next request on."""
        self._hosting(service).split()

    def _hosting(self, service: Service) -> Hosting:
        """The service's revisions, once its server answers or is gone."""
        folder = self.folder(service.name)
        self._first_status(service.name, over=lambda: supervisor_pid(folder) is None)
        return Hosting(service, folder, model_data=self._model_data)

    def settings(self, service: Service) -> dict[str, Any]:
        """By the names of docs/settings.md."""
        return shown_settings(service.deployment)

    def restarting_changes(self, before: Service, after: Service) -> tuple[str, ...]:
        """Where it listens, and whether it speaks TLS."""
        return restarting_changes(before, after)

    def configure(self, service: Service) -> None:
        """Apply all that needs no restart to the running server, and so to the next start."""
        Hosting(service, self.folder(service.name)).change(self._changes(service))

    def observe(self, service: Service) -> Observation:
        """Ask the scoring server; where none answers, ask the supervisor's lock."""
        status = self._status(service.name)
        if status is not None:
            return observation_of(status)
        folder = self.folder(service.name)
        if supervisor_pid(folder) is not None:
            return Observation(state=ServiceState.UNHEALTHY, port=service.port)
        failure = supervisor_failure(folder, only_written=True)
        state = ServiceState.STOPPED if failure is None else ServiceState.FAILED
        return Observation(state=state, port=service.port, failure=failure)

    def stop(self, service: Service) -> None:
        """Let it finish what it holds; what does not end within the drain timeout is killed."""
        folder = self.folder(service.name)
        pid = supervisor_pid(folder)
        if pid is None:
            return
        settings = settings_of(folder)  # another version may have written what this one cannot read
        limits = Limits() if settings is None else settings.limits
        patience = limits.drain_timeout_s + _KILL_AFTER_S
        try:
            ControlClient(folder).stop()
        except ServiceNotRunning:
            _signal(pid, signal.SIGTERM)
        if not _until(lambda: supervisor_pid(folder) is None, within_s=patience):
            _signal_group(pid, signal.SIGKILL)
            _until(lambda: supervisor_pid(folder) is None, within_s=_KILL_AFTER_S)

    def delete(self, service: Service) -> None:
        """Stop it and remove its folder."""
        self.stop(service)
        shutil.rmtree(self.folder(service.name), ignore_errors=True)

    def forget(self, service: Service) -> tuple[str, ...]:
        """Remove its folder. What could not be ended is told by its process."""
        pid = supervisor_pid(self.folder(service.name))
        shutil.rmtree(self.folder(service.name), ignore_errors=True)
        if pid is None:
            return ()
        return (f"Its processes may go on: ps -o pid,args --forest -s {pid} shows them, kill {pid} ends them.",)

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """The end of the revision's log, with what the supervisor has said meanwhile; the supervisor's alone where no
        worker of the revision was ever started."""
        folder = self.folder(service.name)
        log, said = (
            last_lines_of(path, count=max(lines, _LINES_WITH_MOMENTS))
            for path in (log_path(folder, revision or service.active_revision), supervisor_log_path(folder))
        )
        return "".join(with_supervisor(log, said).splitlines(keepends=True)[-lines:])

    def _status(self, name: str) -> Status | None:
        try:
            return ControlClient(self.folder(name)).status()
        except ServiceNotRunning:
            return None


def settings_of(folder: Path) -> ServiceSettings | None:
    """What ``service.json`` says; None where there is none that can be read."""
    try:
        return read_settings(folder)
    except SettingsInvalid:
        return None


_children: list[subprocess.Popen[bytes]] = []
"""Supervisors that this process started: kept so that those that end meanwhile leave no zombie."""


def _spawn(folder: Path, confinement: Confinement) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own: it outlives us, and a Ctrl-C here does not reach it."""
    _children[:] = [child for child in _children if child.poll() is None]
    with supervisor_log_path(folder).open("ab") as log, confinement.spawning():
        process = subprocess.Popen(
            confinement.command(supervisor_command(folder)),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if not _children:
        atexit.unregister(_leave_children)
        atexit.register(_leave_children)
    _children.append(process)
    return process


def _leave_children() -> None:
    """At the end of this program they go on, as they are meant to: Python would warn of each."""
    for child in _children:
        if child.poll() is None:
            child.returncode = 0


def _until(true: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return

"""The servers of one service, of which one at a time is reached by clients."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from docker.errors import APIError, NotFound

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service
from modelport.packages.plan import PACKAGE
from modelport.targets.container.names import Names
from modelport.targets.container.parts import Parts, Server
from modelport.targets.container.patience import patiently
from modelport.targets.container.plan import MODEL_DATA_FOLDER, SETTINGS, STOP_AFTER_DRAIN_S, server_spec
from modelport.targets.container.settings import (
    certificate_files,
    container_settings,
    encoded,
    model_data_files,
    own_files,
    settings_file,
    shared_files,
)
from modelport.targets.serving.failures import from_scoring, goes_on_as_before
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.service import Trust
from modelport.targets.serving.settings import scoring_settings
from modelport_scoring import Limits, RevisionSettings, ServiceSettings, ServiceState
from modelport_scoring.container.settings_file import digest_of
from modelport_scoring.service_folder import decode_settings

Certificate = Callable[[str], tuple[bytes, bytes] | None]
"""The certificate of a service and its key, as PEM."""

AGAIN_S = 75.0
"""An engine starts a container again after a minute at the latest."""

_NOWHERE = Path("service.json")
_PAUSE_S = 0.1
_GRACE_S = 60.0
"""How much longer than the server's own limits say an engine may take."""


class Servers:
    """Starts them, and has one follow the other."""

    def __init__(
        self,
        parts: Parts,
        *,
        names: Names,
        workspace: str,
        trust: Trust | None,
        certificate: Certificate,
        model_data: Path | None,
        path_of_workspace: str,
    ) -> None:
        """``model_data``: the folder that keeps what scripts collect, where the engine's machine is this one."""
        self._parts = parts
        self._names = names
        self._workspace = workspace
        self._trust = trust
        self._certificate = certificate
        self._model_data = model_data
        self._path_of_workspace = path_of_workspace

    def start(self, service: Service, number: int, image: str) -> Server:
        """Make the container of the revision, give it its settings, and start it. It serves, or comes next to the one
        that does."""
        folder = self._model_data_folder(service)
        shown = None if folder is None else str(folder)
        spec = server_spec(service, number, self._names, image=image, model_data=shown)
        server = Server(self._parts.create(spec))
        try:
            content = encoded(self._settings(service, number, of_image(server)))
            certificate = self._certificate(service.name) if service.deployment.ssl_enabled else None
            server.put(own_files(content, certificate))
            server.put_shared(shared_files())
            if service.deployment.collects_model_data and folder is None:
                server.put_model_data(model_data_files())
            server.container.start()
        except BaseException:
            self._parts.remove(server.container)
            raise
        return server

    def _model_data_folder(self, service: Service) -> Path | None:
        """Made, so that the container's user may write to it; who may reach it, the home above it says."""
        if self._model_data is not None and service.deployment.collects_model_data:
            self._model_data.mkdir(parents=True, exist_ok=True)
            self._model_data.chmod(0o777)
        return self._model_data

    def _settings(self, service: Service, number: int, image: RevisionSettings) -> ServiceSettings:
        return container_settings(
            service,
            number,
            workspace=self._workspace,
            of_image=image,
            trust=self._trust,
            model_data=ModelData(folder=MODEL_DATA_FOLDER, workspace=self._path_of_workspace),
        )

    def replace(self, service: Service, number: int, image: str) -> None:
        """Have a new server take over from the one that serves. Raises DeploymentFailed, and the old one goes on.

        Once the new one has taken over it stays, whatever happens then: the old one does not come back.
        """
        old = self._parts.servers()
        if not any(server.runs for server in old):
            raise WebserviceException(
                f"The service {service.name!r} does not run.", hint="Start it: modelport service start."
            )
        for server in old:
            if not server.runs or server.number == number:  # left behind by a program that was killed
                self._parts.remove(server.container)
        old = [server for server in old if server.runs and server.number != number]
        new = self.start(service, number, image)
        try:
            self._wait(new, service)
        except BaseException as error:
            if not self._has_taken_over(new):
                self._parts.remove(new.container)
                raise
            if not isinstance(error, Exception):  # the user's Ctrl-C: the old one ends by itself
                raise
        for server in old:
            self._end(server, service)

    def _has_taken_over(self, new: Server) -> bool:
        """Raises what the engine's client does where it cannot be asked: nothing can be removed then either."""
        try:
            return patiently(lambda: self._again(new).accepts)
        except NotFound:
            return False

    def _wait(self, new: Server, service: Service) -> None:
        """Return when it has taken over. Raises DeploymentFailed where it ends instead."""
        deadline = time.monotonic() + _limits(service).start_timeout_s + _GRACE_S
        has_accepted = False
        while True:
            seen = patiently(lambda: self._with_report(new))
            has_accepted = has_accepted or seen.accepts
            if not seen.runs or seen.restarts:
                if has_accepted:  # and the one before has left: the engine starts this one again
                    return
                seen.end()
                raise DeploymentFailed(seen.failure())
            report = seen.report
            status = None if report is None else report.status
            if report is not None and status is not None and report.accepts and status.state is ServiceState.RUNNING:
                return
            if time.monotonic() > deadline:
                message = f"The server of revision {new.number} did not take over in time."
                raise DeploymentFailed(Failure(phase=Phase.START, message=message, log=seen.log(50)))
            time.sleep(_PAUSE_S)

    def _with_report(self, server: Server) -> Server:
        """What is asked of it is asked here."""
        seen = self._again(server)
        _ = seen.report
        return seen

    def _again(self, server: Server) -> Server:
        server.container.reload()
        return Server(server.container)

    def _end(self, server: Server, service: Service) -> None:
        """Let it finish what it holds, since another one has its place."""
        patience_s = _limits(service).drain_timeout_s + _GRACE_S
        with contextlib.suppress(Exception):
            server.container.wait(timeout=patience_s)
        patiently(lambda: self._parts.remove(server.container))

    def stop(self, service: Service) -> None:
        """Let what runs finish what it holds, and end it; the containers stay, for the log."""
        patience_s = int(_limits(service).drain_timeout_s) + STOP_AFTER_DRAIN_S
        for server in self._parts.servers():
            if server.runs or server.container.status == "restarting":
                server.container.stop(timeout=patience_s)
        holder = self._parts.holder()
        if holder is not None:  # Podman keeps it as long as there are others in its network
            holder.stop(timeout=0)

    def put_certificate(self, certificate: tuple[bytes, bytes]) -> None:
        """Servers that run look at these files every second."""
        for server in self._parts.servers():
            if server.runs:
                server.put(certificate_files(*certificate))

    def configure(self, service: Service) -> None:
        """Write the settings for the server that runs, and return when they are in force. Raises DeploymentFailed where
        they cannot be, and WebserviceException where none says that it serves; then the old ones stay."""
        server = self._serving(service)
        if server is None:
            return
        before = server.read(SETTINGS)
        if before is None:
            return
        image = decode_settings(before, path=_NOWHERE).revision
        content = encoded(self._settings(service, server.number, image))
        if content == before:
            return
        server.put([settings_file(content)])
        failure = self._refusal(server, digest_of(content), service)
        if failure is not None:
            with contextlib.suppress(APIError, NotFound):
                server.put([settings_file(before)])
            raise DeploymentFailed(failure)

    def _serving(self, service: Service) -> Server | None:
        """The one that clients reach; None where none runs: the next one is given all anew when it is made. One that
        the engine is just starting again is waited for: it begins with the settings, and the keys, that it was given
        before."""
        deadline = time.monotonic() + AGAIN_S
        while True:
            servers = self._parts.servers()
            serving = next((server for server in servers if server.accepts), None)
            if serving is not None or not any(server.goes_on for server in servers):
                return serving
            if time.monotonic() > deadline:
                says = f"The container of the service {service.name!r} says nothing of itself"
                raise goes_on_as_before(service.name, f"{says}, so that it goes on with its old settings.")
            time.sleep(_PAUSE_S)

    def _refusal(self, server: Server, digest: str, service: Service) -> Failure | None:
        """Wait until the settings are in force; why they are not, or None."""
        deadline = time.monotonic() + _limits(service).start_timeout_s + _GRACE_S
        while time.monotonic() < deadline:
            seen = self._again(server)
            report = seen.report
            if report is not None and report.settings == digest:
                return None
            if report is not None and report.refusal is not None and report.refusal.settings == digest:
                told = report.refusal
                failure = Failure(phase=Phase.START, message=told.message)
                return failure if told.failure is None else from_scoring(told.failure, log=seen.log(50))
            if not seen.runs:
                return seen.failure()
            time.sleep(_PAUSE_S)
        return Failure(phase=Phase.START, message="The new settings were not taken over in time.")


def of_image(server: Server) -> RevisionSettings:
    """What the image itself says of the revision in it. Raises WebserviceException for one that is none of ours."""
    content = server.read(f"{PACKAGE}/service.json")
    if content is None:
        raise WebserviceException(f"The image of {server.container.name} has no {PACKAGE}/service.json.")
    return decode_settings(content, path=_NOWHERE).revision


def _limits(service: Service) -> Limits:
    limits: Limits = scoring_settings(service.deployment)["limits"]
    return limits

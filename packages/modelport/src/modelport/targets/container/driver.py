"""Running services as containers of an engine."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

from modelport.domain.deployments import Deployment
from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import DesiredState, Service, ServiceState
from modelport.targets.container.engine import Engine, EngineGone
from modelport.targets.container.facts import facts_of
from modelport.targets.container.image import ServiceImage
from modelport.targets.container.leftovers import leftovers
from modelport.targets.container.loading import load, load_holder, remove_unused
from modelport.targets.container.names import Names, check_label
from modelport.targets.container.observing import observe
from modelport.targets.container.parts import Parts
from modelport.targets.container.plan import holder_spec
from modelport.targets.container.servers import Servers
from modelport.targets.interface import NONE_BESIDE, Observation, Target
from modelport.targets.serving.certificates import COPIES, check_certificate, copy_certificate
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.ports import check_address
from modelport.targets.serving.service import Trust
from modelport.targets.serving.settings import check_deployment, restarting_changes, shown_settings

Build = Callable[[str, Path, str], ServiceImage]
"""Makes the image of a service, by its name, from a bundle, for an architecture (``amd64``)."""

_PORTS = range(20_000, 32_000)
"""Of another machine, whose free ports nobody tells: one of these is tried."""
_PORT_TRIES = 10
_ENDED = Failure(
    phase=Phase.START,
    message="The service's containers have ended, and not by themselves: their engine was stopped or started again, or "
    "somebody stopped them.",
    hint="Start what should run: modelport up, which a machine can do after each start (systemd, cron's @reboot).",
)
"""Engines do not start servers again then: see docs/architecture/12-containers.md."""
_PACE_S = 0.1
"""Whoever waits for a service asks all the time; an engine need not answer more often."""


class ContainerTarget:
    """Services as containers: one that has the address, and in its network one with the scoring server."""

    def __init__(
        self,
        address: str,
        *,
        root: Path,
        workspace: str,
        workspace_id: str,
        build: Build,
        trust: Trust | None = None,
        model_data: ModelData | None = None,
    ) -> None:
        """``root``: the folder where this machine keeps the certificates of services; ``model_data``: where scripts
        store what they collect, where the engine's machine is this one."""
        self._engine = Engine(address)
        self._root = root
        self._workspace = workspace
        self._workspace_id = workspace_id
        self._build = build
        self._trust = trust
        self._model_data = model_data or ModelData(folder="", workspace=workspace)

    def check(self, name: str, deployment: Deployment) -> None:
        """Raise WebserviceException where the engine does not answer or is too old, for a port that is taken, a DNS
        label that is none, and for GPUs that it has not; UserErrorException for settings that no scoring server would
        take, or a certificate that cannot be used."""
        check_deployment(deployment)
        check_certificate(deployment)
        check_label(deployment.place.dns_name_label)
        with self._engine.connected() as client:
            facts = facts_of(client)
        if facts.is_too_old:
            raise WebserviceException(
                f"The container engine at {self._engine.address} is too old: {facts.product}.",
                hint="Docker 20.10 or newer is needed, or Podman 4.3.",
            )
        if deployment.gpu_cores and not facts.has_nvidia_runtime:
            raise WebserviceException(
                f"The service asks for {deployment.gpu_cores} GPUs (gpu_cores), and the container engine at "
                f"{self._engine.address} ({facts.product}) has none to give: it has no runtime of NVIDIA.",
                hint="Podman gives none by Docker's API. For Docker, install the NVIDIA Container Toolkit and run "
                "nvidia-ctk runtime configure; or leave gpu_cores out.",
            )
        if self._engine.host is None:
            check_address(deployment.host or "127.0.0.1", deployment.port)

    def keep_certificate(self, name: str, deployment: Deployment) -> None:
        """Copy the certificate and its key into the service's folder here, for its clients, and have the server take
        them over where one runs."""
        folder = self._root / name
        copy_certificate(deployment, folder)
        files = self._certificate(name)
        if files is None or not (deployment.ssl_cert_pem_file or deployment.ssl_key_pem_file):
            return
        with self._engine.connected() as client:
            self._servers(self._parts(client, name)).put_certificate(files)

    def certificate(self, service: Service) -> Path | None:
        """The copy in the service's folder."""
        return self._root / service.name / COPIES.certificate if service.deployment.ssl_enabled else None

    def start(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> Observation:
        """Build the image, have the engine load it, and start both containers."""
        if beside:
            raise self._refusal("start several revisions")
        image = self._built(service.name, bundle)
        with self._engine.connected() as client:
            parts = self._parts(client, service.name)
            parts.remove_all()
            reference = self._loaded(client, parts, image)
            port = self._hold(client, parts, service)
            self._servers(parts).start(service, service.active_revision, reference)
            remove_unused(client, parts.names.images)
            return self._seen(replace(service, port=port), observe(parts))

    def _built(self, name: str, bundle: Path) -> ServiceImage:
        """Without a connection, which would be idle for long."""
        with self._engine.connected() as client:
            architecture = facts_of(client).architecture
        return self._build(name, bundle, architecture)

    def _loaded(self, client: docker.DockerClient, parts: Parts, image: ServiceImage) -> str:
        reference = parts.names.image(image.config_digest)
        load(client, image, reference)
        return reference

    def _hold(self, client: docker.DockerClient, parts: Parts, service: Service) -> int:
        """Start the container that has the service's port; returns that."""
        image = load_holder(client)
        for _ in range(_PORT_TRIES):
            port = service.port or self._free_port()
            published = (service.deployment.host or self._address(), port)
            spec = holder_spec(service, self._names(service.name), image=image, published=published)
            holder = parts.create(spec)
            try:
                holder.start()
            except APIError as error:
                parts.remove(holder)
                if service.port is not None or not _is_taken(error):
                    raise
            else:
                return port
        raise WebserviceException(f"No free port was found on the machine of the engine at {self._engine.address}.")

    def _free_port(self) -> int:
        if self._engine.host is not None:
            return random.choice(_PORTS)  # noqa: S311 - no secret
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    def _address(self) -> str:
        """Where the port is open: an engine of this machine has it for this machine only, as any service here."""
        return "127.0.0.1" if self._engine.host is None else "0.0.0.0"  # noqa: S104

    def switch(self, service: Service, number: int, bundle: Path, *, replacing: int | None = None) -> None:
        """Returns when the server of revision ``number`` has taken over; the one before is gone then."""
        image = self._built(service.name, bundle)
        with self._engine.connected() as client:
            parts = self._parts(client, service.name)
            try:
                self._servers(parts).replace(service, number, self._loaded(client, parts, image))
            finally:
                remove_unused(client, parts.names.images)

    def host(self, service: Service, number: int, bundle: Path) -> None:
        """Raises WebserviceException."""
        raise self._refusal("host a revision beside the active one")

    def promote(self, service: Service, number: int) -> None:
        """Raises WebserviceException."""
        raise self._refusal("promote a revision")

    def release(self, service: Service, number: int) -> None:
        """Raises WebserviceException."""
        raise self._refusal("release a revision")

    def scale(self, service: Service, number: int) -> None:
        """Raises WebserviceException."""
        raise self._refusal("scale a revision")

    def split(self, service: Service) -> None:
        """Raises WebserviceException."""
        raise self._refusal("divide requests among revisions")

    def _refusal(self, what: str) -> WebserviceException:
        return WebserviceException(
            f"A service in a container has one revision at a time: it cannot {what}.",
            hint="AksEndpoint has several versions; it runs in a cluster, or as processes of this machine.",
        )

    def briefly(self) -> AbstractContextManager[Target]:
        """Raises WebserviceException."""
        raise WebserviceException("No container is started for a moment only.", hint="Run it as processes.")

    def settings(self, service: Service) -> dict[str, Any]:
        """By the names of docs/settings.md."""
        return shown_settings(service.deployment)

    def restarting_changes(self, before: Service, after: Service) -> tuple[str, ...]:
        """Where it listens, whether it speaks TLS, and what the containers are given when they are made."""
        names = restarting_changes(before, after)
        old, new = before.deployment, after.deployment
        more = {
            "resources": (old.resources, new.resources),
            "gpu_cores": (old.gpu_cores, new.gpu_cores),
            "dns_name_label": (old.place.dns_name_label, new.place.dns_name_label),
        }
        return (*names, *(name for name, (was, will_be) in more.items() if was != will_be))

    def configure(self, service: Service) -> None:
        """Write the settings into the server's volume, and return when it has taken them over."""
        with self._engine.connected() as client:
            self._servers(self._parts(client, service.name)).configure(service)

    def observe(self, service: Service) -> Observation:
        """Ask the engine, and the server by the files that it writes; an engine that does not answer knows nothing."""
        try:
            with self._engine.connected() as client:
                seen = observe(self._parts(client, service.name))
        except EngineGone as error:
            failure = Failure(phase=Phase.START, message=error.message, hint=error.hint)
            return Observation(state=ServiceState.UNKNOWN, port=service.port, failure=failure, host=self._engine.host)
        if seen.state is ServiceState.DEPLOYING:
            time.sleep(_PACE_S)
        is_wanted = service.desired_state is DesiredState.RUNNING
        if seen.state is ServiceState.STOPPED and is_wanted:
            known = seen.failure
            seen = replace(
                seen, failure=_ENDED if known is None else replace(known, hint=f"{_ENDED.hint} {known.hint}".strip())
            )
        return self._seen(service, seen)

    def _seen(self, service: Service, observation: Observation) -> Observation:
        return replace(observation, port=service.port, host=self._engine.host)

    def stop(self, service: Service) -> None:
        """Let it finish what it holds. The server's container stays for its log, until the next start."""
        with self._engine.connected() as client:
            self._servers(self._parts(client, service.name)).stop(service)

    def delete(self, service: Service) -> None:
        """Remove its containers, its volumes, its network and its images, unless something else uses them."""
        with self._engine.connected() as client:
            parts = self._parts(client, service.name)
            with contextlib.suppress(APIError):
                self._servers(parts).stop(service)
            parts.remove_all()
            remove_unused(client, parts.names.images)
        shutil.rmtree(self._root / service.name, ignore_errors=True)

    def forget(self, service: Service) -> tuple[str, ...]:
        """The certificate's copies go. What the engine has, its labels find."""
        shutil.rmtree(self._root / service.name, ignore_errors=True)
        return leftovers(self._engine.address, self._names(service.name), service.deployment)

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """What the revision's container printed, also where it has ended; nothing where it is gone."""
        with self._engine.connected() as client:
            parts = self._parts(client, service.name)
            server = parts.server(revision or service.active_revision)
            return "" if server is None else server.log(lines)

    def _names(self, service: str) -> Names:
        return Names(self._workspace, self._workspace_id, service)

    def _parts(self, client: docker.DockerClient, service: str) -> Parts:
        return Parts(client, self._names(service))

    def _servers(self, parts: Parts) -> Servers:
        is_here = self._engine.host is None and self._model_data.folder
        return Servers(
            parts,
            names=parts.names,
            workspace=self._workspace,
            trust=self._trust,
            certificate=self._certificate,
            model_data=Path(self._model_data.folder) if is_here else None,
            path_of_workspace=self._model_data.workspace,
        )

    def _certificate(self, name: str) -> tuple[bytes, bytes] | None:
        """The certificate of a service and its key, where it has one."""
        files = [self._root / name / path for path in (COPIES.certificate, COPIES.key)]
        return (files[0].read_bytes(), files[1].read_bytes()) if all(file.exists() for file in files) else None


def _is_taken(error: APIError) -> bool:
    text = str(error.explanation or error).lower()
    return "already allocated" in text or "address already in use" in text or "port is already" in text

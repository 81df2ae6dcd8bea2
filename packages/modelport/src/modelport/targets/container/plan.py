"""What the container target would do for a service: values that can be printed and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelport.domain.deployments import Deployment, Resources
from modelport.domain.services import Service
from modelport.packages.plan import PORT, USER
from modelport.targets.container.names import BUNDLE, HOLDER, REVISION, ROLE, SERVER, Names

PROGRAM = ("/opt/modelport/server/bin/python", "-P", "-m", "modelport_scoring.container")

OWN = "/var/modelport/own"
"""Where a server has its own volume: its settings, and the folder of its service."""
SETTINGS = f"{OWN}/settings/service.json"
FOLDER = f"{OWN}/run"
SHARED = "/var/modelport/shared"
"""Where all servers of the service have the same volume."""
HANDOVER = f"{SHARED}/handover"
CERTIFICATE = f"{OWN}/settings/tls/certificate.pem"
KEY = f"{OWN}/settings/tls/key.pem"

MODEL_DATA = "/var/azureml-modeldata"
"""Where what scripts collect is, in a folder that anybody may write to: the container's user is nobody's here."""
MODEL_DATA_FOLDER = f"{MODEL_DATA}/modeldata"

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - what a port's address may be, not ours
_GIBIBYTE = 1024**3
_HOLDER_BYTES = 32 * 1024**2
_MOST_PROCESSES = 4096
STOP_AFTER_DRAIN_S = 15
"""How much longer than its drain timeout a server has to end."""
_RETRIES = 100
"""A server that crashes is started again so often. One that ends well is not: another one has taken its place."""


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container."""

    name: str
    image: str
    labels: Mapping[str, str]
    command: tuple[str, ...] = ()
    """Empty: the image's own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Names of volumes, and where they are mounted."""
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    published: tuple[str, int] | None = None
    """Address and port of the engine's machine that lead to the service."""
    network_of: str | None = None
    """The container whose network it has; None: one of its own."""
    network: str | None = None
    alias: str | None = None
    """Its name in that network."""
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    gpus: int = 0
    processes: int = _MOST_PROCESSES
    restarts: str = "on-failure"
    stop_signal: str = "SIGTERM"
    user: str = f"{USER}:{USER}"


def holder_spec(service: Service, names: Names, *, image: str, published: tuple[str, int]) -> ContainerSpec:
    """The container that keeps the service's address while servers come and go."""
    label = service.deployment.place.dns_name_label
    return ContainerSpec(
        name=names.holder,
        image=image,
        labels={**names.labels, ROLE: HOLDER},
        published=published,
        network=names.network if label else None,
        alias=label,
        memory_bytes=_HOLDER_BYTES,
        processes=8,
        restarts="unless-stopped",
        # It has nothing to finish, and SIGTERM does not reach the first process of a container that handles no signal:
        # an engine that stops would wait ten seconds for it.
        stop_signal="SIGKILL",
    )


def server_spec(
    service: Service, number: int, names: Names, *, image: str, model_data: str | None = None
) -> ContainerSpec:
    """The container that serves a revision. Nothing of what it is told is in its environment, which everybody sees who
    may inspect it: its settings are files of a volume. ``model_data``: the folder of the engine's machine that keeps
    what scripts collect; None: a volume of the engine does."""
    revision = service.revision(number)
    memory_bytes, nano_cpus = limits(service.deployment)
    return ContainerSpec(
        name=names.server(number),
        image=image,
        labels={**names.labels, ROLE: SERVER, REVISION: str(number), BUNDLE: revision.bundle_digest},
        command=(*PROGRAM, "--settings", SETTINGS, "--folder", FOLDER, "--handover", HANDOVER),
        environment={"HOME": "/tmp"},  # noqa: S108 - the container's: the only folder that can be written
        volumes={names.server(number): OWN, names.base: SHARED, **_model_data(service, names, model_data)},
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108
        network_of=names.holder,
        memory_bytes=memory_bytes,
        nano_cpus=nano_cpus,
        gpus=service.deployment.gpu_cores or 0,
    )


def _model_data(service: Service, names: Names, folder: str | None) -> dict[str, str]:
    if not service.deployment.collects_model_data:
        return {}
    return {names.model_data: MODEL_DATA} if folder is None else {folder: MODEL_DATA_FOLDER}


def limits(deployment: Deployment) -> tuple[int | None, int | None]:
    """Bytes of memory, and billionths of a core. v1's GB are gibibytes, as those of the engines are."""
    asked = deployment.resources or Resources()
    memory, cpu = asked.memory_gb_limit or asked.memory_gb, asked.cpu_limit or asked.cpu
    return None if memory is None else int(memory * _GIBIBYTE), None if cpu is None else int(cpu * 1e9)


def creation(spec: ContainerSpec) -> dict[str, Any]:
    """The arguments by which docker-py makes the container: it can write to its volumes and /tmp only, and can gain no
    rights."""
    said: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image,
        "labels": dict(spec.labels),
        "environment": dict(spec.environment),
        "volumes": {name: {"bind": path, "mode": "rw"} for name, path in spec.volumes.items()},
        "tmpfs": dict(spec.tmpfs),
        "user": spec.user,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": spec.processes,
        "restart_policy": _restart_policy(spec.restarts),
        "stop_signal": spec.stop_signal,
        "healthcheck": {"test": ["NONE"]},  # it would start a Python again and again, within the container's limits
        "detach": True,
    }
    if spec.command:
        said["command"] = list(spec.command)
    if spec.memory_bytes is not None:
        said |= {"mem_limit": spec.memory_bytes, "memswap_limit": spec.memory_bytes}
    if spec.nano_cpus is not None:
        said["nano_cpus"] = spec.nano_cpus
    if spec.gpus:
        said["device_requests"] = [{"Driver": "nvidia", "Count": spec.gpus, "Capabilities": [["gpu"]]}]
    if spec.published is not None:
        address, port = spec.published
        # Podman 4.3 takes 0.0.0.0 for the address that requests are sent to, and lets none of them through.
        said["ports"] = {f"{PORT}/tcp": port if address in _ALL_ADDRESSES else (address, port)}
    if spec.network_of is not None:
        said["network_mode"] = f"container:{spec.network_of}"
    elif spec.network is not None:
        said["network"] = spec.network
    return said


def _restart_policy(name: str) -> dict[str, object]:
    return {"Name": name, "MaximumRetryCount": _RETRIES} if name == "on-failure" else {"Name": name}

"""What a service leaves in an engine that nobody could ask, and how its owner finds and removes it there."""

from __future__ import annotations

import shlex

from modelport.domain.deployments import Deployment
from modelport.targets.container.holder import REFERENCE
from modelport.targets.container.names import HOLDER, ROLE, SERVER, SERVICE, WORKSPACE_ID, Names


def leftovers(address: str, names: Names, deployment: Deployment) -> tuple[str, ...]:
    """Sentences, and commands for a shell, a line each. Servers go before the container whose network they have: Podman
    refuses the other order."""
    client = "podman --remote" if "podman" in address else "docker"
    variable = "CONTAINER_HOST" if "podman" in address else "DOCKER_HOST"
    filters = _filters(**{WORKSPACE_ID: names.workspace_id, SERVICE: names.service})
    lines = [
        f"The container engine at {address} was not asked: its containers, volumes and images of {names.service!r} may "
        "be left there. Once it answers, this shows them:",
        f"export {variable}={shlex.quote(address)}",
        f"{client} ps --all {filters}; {client} volume ls {filters}; {client} images {shlex.quote(names.images)}",
        "and this removes them:",
        *(
            f"{client} ps --all --quiet {filters} {_filters(**{ROLE: role})} | xargs -r {client} rm --force"
            for role in (SERVER, HOLDER)
        ),
        f"{client} volume ls --quiet {filters} | xargs -r {client} volume rm",
        f"{client} images --quiet {shlex.quote(names.images)} | xargs -r {client} rmi --force",
        f"With the last service of all that run there: {client} rmi {REFERENCE}",
    ]
    if deployment.place.dns_name_label:
        lines.append(f"With the last service of the workspace: {client} network rm {names.network}")
    if deployment.collects_model_data:
        lines.append(f"What its script collected may be in the volume {names.model_data}.")
    return tuple(lines)


def _filters(**labels: str) -> str:
    return " ".join(f"--filter label={shlex.quote(f'{key}={value}')}" for key, value in labels.items())

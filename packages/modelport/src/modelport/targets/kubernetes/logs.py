"""What the containers of a service printed, also those that are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelport.targets.kubernetes.cluster import Cluster, Object
from modelport.targets.kubernetes.failing import blamed

_OF_A_FAILURE = 50


def blamed_log(cluster: Cluster, namespace: str, pods: Sequence[Mapping[str, Any]]) -> str:
    """The end of the log of the container because of which a revision failed; "" where none was started."""
    found = blamed(pods)
    if found is None:
        return ""
    for previous in (found.previous, not found.previous):
        text = cluster.log(found.pod, found.container, namespace=namespace, lines=_OF_A_FAILURE, previous=previous)
        if text:
            return text
    return ""


def log_of(cluster: Cluster, namespace: str, pods: Sequence[Object], *, lines: int) -> str:
    """The last lines of each container, of init containers and of those that were there before it; named where there
    are several."""
    parts = [part for pod in sorted(pods, key=_age) for part in _parts(cluster, namespace, pod, lines)]
    if len(parts) <= 1:
        return "".join(text for _, text in parts)
    return "\n".join(f"--- {name} ---\n{text}" for name, text in parts)


def _parts(cluster: Cluster, namespace: str, pod: Object, lines: int) -> Iterator[tuple[str, str]]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    for container in containers:
        called = f"{name} {container['name']}"
        if container.get("restartCount"):
            text = cluster.log(name, container["name"], namespace=namespace, lines=lines, previous=True)
            if text:
                yield f"{called}, before it was started again", text
        text = cluster.log(name, container["name"], namespace=namespace, lines=lines)
        if text:
            yield called, text


def _age(pod: Object) -> str:
    return str(pod["metadata"]["creationTimestamp"])

"""Clusters that are attached to a workspace: whether one answers, and how it is reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from modelport.domain.errors import ComputeTargetException, UserErrorException, WebserviceException
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.kubeconfig import contexts, find_context
from modelport.usecases.cluster_settings import cluster_settings


def is_context(name: str) -> bool:
    """Whether a kubeconfig of this user has a context of that name. Raises ComputeTargetException for a file that is no
    kubeconfig."""
    try:
        return name in contexts()
    except WebserviceException as error:
        raise ComputeTargetException(error.message, hint=error.hint) from error


def check_cluster(settings: Mapping[str, Any]) -> str:
    """Connect to the cluster of the settings' context; returns what it is, in words.

    Raises ComputeTargetException where it does not answer or refuses, or where the settings name what it cannot do.
    """
    try:
        cluster_settings(settings)
        cluster = Cluster.of_context(str(settings["context"]))
        major, minor = cluster.version
        return f"Kubernetes {major}.{minor} at {cluster.server}"
    except (WebserviceException, UserErrorException) as error:
        raise ComputeTargetException(error.message, hint=error.hint) from error


def nodes_of(settings: Mapping[str, Any]) -> str:
    """``check_cluster``, and how many nodes of which architectures there are, where the context's user may see them."""
    told = check_cluster(settings)
    try:
        nodes = Cluster.of_context(str(settings["context"])).list("v1/Node")
    except WebserviceException:
        return told
    kinds = Counter(f"linux/{node['status']['nodeInfo']['architecture']}" for node in nodes)
    return ", ".join([told, *(f"{count} nodes of {kind}" for kind, count in sorted(kinds.items()))])


def credentials_of(context: str) -> dict[str, Any]:
    """How the cluster of the context is reached. Raises ComputeTargetException where the context is gone."""
    try:
        found = find_context(context)
    except WebserviceException as error:
        raise ComputeTargetException(error.message, hint=error.hint) from error
    return {"context": context, "server": found.cluster.server, "kubeconfig": str(found.fname)}

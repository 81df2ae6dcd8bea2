"""Clusters that are attached to a workspace: the connection checked, and the target of the services in one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelport.domain.compute import KIND, Compute
from modelport.domain.deployments import Placement
from modelport.domain.errors import ComputeTargetException, UserErrorException, WebserviceException
from modelport.domain.progress import Progress
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.interface import MetadataStore
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.driver import KubernetesTarget
from modelport.targets.kubernetes.images import Images
from modelport.targets.kubernetes.kubeconfig import contexts, find_context
from modelport.targets.serving.service import Trust
from modelport.usecases.cluster_settings import cluster_settings
from modelport.usecases.datastores import path_of_workspace
from modelport.usecases.published_images import PublishedImages
from modelport.usecases.stored_bundles import StoredBundles

REGISTRY_VARIABLE = "MODELPORT_IMAGE_REGISTRY"
"""Where images go for clusters that were attached without a registry: what scripts of v1 cannot say."""


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


def credentials_of(context: str) -> dict[str, Any]:
    """How the cluster of the context is reached. Raises ComputeTargetException where the context is gone."""
    try:
        found = find_context(context)
    except WebserviceException as error:
        raise ComputeTargetException(error.message, hint=error.hint) from error
    return {"context": context, "server": found.cluster.server, "kubeconfig": str(found.fname)}


def cluster_target(
    place: Placement,
    *,
    record: WorkspaceRecord,
    registry: MetadataStore,
    folder: Path,
    home: Path,
    trust: Trust,
    progress: Progress,
) -> KubernetesTarget:
    """The target of services that are placed there; settings are those of the compute target, while it is attached."""
    asset = None if place.compute_name is None else registry.asset(KIND, place.compute_name)
    settings = {} if asset is None else Compute.from_asset(asset).settings
    shared: dict[str, Any] = {
        "registry": settings.get("registry") or os.environ.get(REGISTRY_VARIABLE) or None,
        "compute": place.compute_name,
        "bundles": folder / "bundles",
        "cache": home / "images",
        "records": folder / "published",
        "progress": progress,
    }
    images: Images = PublishedImages(workspace=record.name, **shared)
    if settings.get("store"):
        shared |= {name: settings.get(name) for name in ("store_secret", "stock_image")}
        images = StoredBundles(store=str(settings["store"]), **shared)
    return KubernetesTarget(
        str(place.context),
        folder / "services",
        workspace=record.name,
        workspace_id=record.id,
        images=images,
        settings=cluster_settings(settings),
        trust=trust,
        data_path=path_of_workspace(record),
    )

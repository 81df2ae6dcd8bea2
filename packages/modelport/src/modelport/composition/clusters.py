"""The target of services in a cluster, with what brings images or bundles there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modelport.domain.compute import KIND, Compute
from modelport.domain.deployments import Placement
from modelport.domain.progress import Progress
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.interface import MetadataStore
from modelport.targets.kubernetes.driver import KubernetesTarget
from modelport.targets.kubernetes.images import Images
from modelport.targets.serving.service import Trust
from modelport.usecases.cluster_settings import cluster_settings
from modelport.usecases.datastores import path_of_workspace
from modelport.usecases.published_images import PublishedImages
from modelport.usecases.stored_bundles import StoredBundles

REGISTRY_VARIABLE = "MODELPORT_IMAGE_REGISTRY"
"""Where images go for clusters that were attached without a registry: what scripts of v1 cannot say."""


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

"""How services are put into one cluster: what its owners decide, and where the pods' images come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ENVIRONMENT_PYTHON = "/opt/modelport/environment/bin/python"
"""Of the script, in the images that Modelport makes."""


class Expose(StrEnum):
    """Where a service can be reached."""

    CLUSTER_IP = "ClusterIP"
    """Inside the cluster only."""
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    """An address of its own, from the cluster's provider."""
    INGRESS = "Ingress"
    """Below the address of an Ingress controller, by its path: all services share that, as in v1."""
    GATEWAY = "Gateway"
    """The same by a Gateway, which also divides the requests among the versions of an endpoint."""


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """What holds for all services of a compute target. Nothing given: what every cluster can do."""

    namespace: str | None = None
    """One that exists and belongs to somebody else; a service may name another. None: one for the workspace."""
    expose: Expose = Expose.LOAD_BALANCER
    host: str | None = None
    """The host name of an Ingress or a Gateway, and of a certificate."""
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the exposed Service: what a provider's load balancer is told, such as that it is an internal one."""
    source_ranges: tuple[str, ...] = ()
    """Addresses (CIDR) that a load balancer takes requests from; none: any."""
    ingress_class: str | None = None
    ingress_annotations: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[str, ...] = ()
    """Namespaces whose pods may send requests, beside the service's own: that of the Ingress controller or the Gateway.
    None given: any, unless the service is for the cluster alone. On ports of nodes and load balancers anybody may."""
    gateway: str | None = None
    """``namespace/name`` or ``name`` of a Gateway."""
    cert_issuer: str | None = None
    """Of cert-manager: ``name`` of a ClusterIssuer, or ``Issuer/name`` of one in the namespace."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets of the namespace."""
    settings_secret: str | None = None
    """Of a Secret that somebody else keeps, with ``service.json`` as its key: none is made."""
    storage_class: str | None = None
    router_image: str | None = None
    """With modelport-scoring in it. None: the image of the default version."""
    router_replicas: int = 2
    kserve: bool = False
    """Whether services are InferenceServices of KServe, which scales them to zero."""
    gpu_resource: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    reaches_metadata_service: bool = False
    """Whether scripts may ask the cloud's metadata service, which hands out the node's credentials."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file of an object store that an init container fetches and verifies."""

    url: str = field(repr=False)
    """May be signed: it is kept in a Secret."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BundleArchive:
    """An archive of a bundle, whose manifest has the digests of all its files."""

    url: str = field(repr=False)
    digest: str
    """Of the bundle: the SHA-256 of its manifest."""
    sha256: str | None = None
    """Of the archive, where it is known."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """The way without an image of its own: a stock serving image, and archives that a pod fetches when it starts."""

    bundle: BundleArchive
    environment: Archive | None = None
    """None: the script runs on the image's Python."""
    credentials_secret: str | None = None
    """Of a Secret of the namespace, whose keys become variables of the init container."""


@dataclass(frozen=True, kw_only=True)
class ServingImage:
    """The image of a revision's pods, and where the script's Python is in it."""

    reference: str
    """With a digest, so that all pods run the same."""
    interpreter: tuple[str, ...] = (ENVIRONMENT_PYTHON,)
    keeps_python_path: bool = False
    fetch: Fetch | None = None
    """None: the bundle is baked in."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a service shows: PEM, the chain and its key."""

    certificate: bytes
    key: bytes = field(repr=False)

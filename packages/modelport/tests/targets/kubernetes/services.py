"""Services and clusters to make manifests of."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from modelport.domain.deployments import Autoscale, Deployment, Probe, Resources, with_defaults
from modelport.domain.endpoints import EndpointVersion, VersionType, split_deployment
from modelport.domain.services import DesiredState, InferenceConfiguration, Keys, Revision, Service
from modelport.domain.tokens import SigningKey, TokenTrust
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.plan import KubernetesPlan, plan
from modelport.targets.kubernetes.settings import (
    Archive,
    BundleArchive,
    Certificate,
    ClusterSettings,
    Expose,
    Fetch,
    ServingImage,
)

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
WORKSPACE_ID = "0b0c7e5a-0000-4000-8000-000000000001"
EVERYTHING = frozenset({"HTTPRoute", "Certificate", "InferenceService"})
OLDEST, NEWEST = (1, 20), (1, 37)

CERTIFICATE = Certificate(certificate=b"-----BEGIN CERTIFICATE-----\n", key=b"-----BEGIN PRIVATE KEY-----\n")


def revision(number: int = 1, **changes: Any) -> Revision:
    whole = Revision(
        number=number,
        bundle_digest=f"{number}" * 64,
        model_ids=("diabetes:3",),
        inference=InferenceConfiguration(entry_script="score.py", source_directory="/src"),
        environment_name="sklearn",
        environment_version="2",
        lock_digest="d" * 64,
        interpreter=("/home/me/.modelport/environments/d/bin/python",),
        keeps_python_path=False,
        environment_variables={"GREETING": "hello"},
        created_time=NOW,
    )
    return dataclasses.replace(whole, **changes)


def service(name: str = "diabetes", deployment: Deployment | None = None, **changes: Any) -> Service:
    """A service as ``AksWebservice.deploy_configuration(…)`` makes it."""
    whole = Service(
        name=name,
        compute_type="AKS",
        deployment=with_defaults(deployment or Deployment(), "AKS"),
        desired_state=DesiredState.RUNNING,
        revisions=(revision(),),
        active_revision=1,
        created_time=NOW,
        updated_time=NOW,
        last_number=1,
        keys=Keys(primary="primary", secondary="secondary"),
    )
    return dataclasses.replace(whole, **changes)


def endpoint(
    name: str = "diabetes", *, shares: Mapping[str, float] | None = None, deployment: Deployment | None = None
) -> Service:
    """An endpoint whose versions have these shares; the first is the default one."""
    of_endpoint, of_version = split_deployment(with_defaults(deployment or Deployment(), "AKSENDPOINT"))
    shares = shares or {"blue": 0, "green": 20}
    versions = tuple(
        EndpointVersion(
            name=version,
            revision=number,
            deployment=of_version,
            traffic_percentile=share,
            version_type=VersionType.CONTROL if number == 1 else VersionType.TREATMENT,
            created_time=NOW,
            updated_time=NOW,
        )
        for number, (version, share) in enumerate(shares.items(), start=1)
    )
    return dataclasses.replace(
        service(name),
        compute_type="AKSENDPOINT",
        deployment=of_endpoint,
        revisions=tuple(revision(number) for number in range(1, len(shares) + 1)),
        versions=versions,
        last_number=len(shares),
    )


def images(service: Service, *, fetch: Fetch | None = None) -> dict[int, ServingImage]:
    """Each revision's own, or the stock one with what it fetches."""
    return {
        revision.number: ServingImage(
            reference=f"registry.example/modelport/{service.name}@sha256:{f'{revision.number}' * 64}", fetch=fetch
        )
        for revision in service.revisions
    }


FETCH = Fetch(
    bundle=BundleArchive(url="https://store.example/bundle.tar.gz?signature=secret", digest="b" * 64),
    environment=Archive(url="https://store.example/environment.tar.gz?signature=secret", sha256="e" * 64),
    credentials_secret="store",
)


def trust(service: str) -> TokenTrust:
    key = SigningKey(id="key", private_key="PRIVATE", x="x", y="y", created_time=NOW)
    return TokenTrust(issuer="urn:modelport:workspace:1", audience=service, keys=(key,))


def planned(
    service: Service,
    *,
    version: tuple[int, int] = NEWEST,
    optional: frozenset[str] = EVERYTHING,
    fetch: Fetch | None = None,
    workspace: str = "main",
    workspace_id: str = WORKSPACE_ID,
    certificate: Certificate | None = None,
    settings: ClusterSettings | None = None,
    **choices: Any,
) -> KubernetesPlan:
    """The plan for a cluster of that version, with these settings."""
    return plan(
        service,
        workspace=workspace,
        workspace_id=workspace_id,
        images=images(service, fetch=fetch),
        cluster=ClusterFacts.assumed(version, optional=optional),
        settings=settings or ClusterSettings(**choices),
        trust=trust,
        certificate_files=certificate,
    )


DEPLOYMENTS = {
    "nothing asked for": Deployment(),
    "one replica": Deployment(replicas=1),
    "several replicas of several workers": Deployment(replicas=3, workers=2, server_processes=2),
    "scaling": Deployment(
        autoscale=Autoscale(enabled=True, min_replicas=2, max_replicas=20, refresh_s=0.5, target_utilization=55.5)
    ),
    "resources": Deployment(
        resources=Resources(cpu=1.0005, cpu_limit=2, memory_gb=1.3, memory_gb_limit=4), gpu_cores=2
    ),
    "probes": Deployment(
        probe=Probe(period_s=0.5, initial_delay_s=0, timeout_s=1.5, success_threshold=3, failure_threshold=7)
    ),
    "tokens": Deployment(token_auth_enabled=True, auth_enabled=False),
    "nobody is asked": Deployment(auth_enabled=False),
    "limits": Deployment(limits={"drain_timeout_s": 12.5, "start_timeout_s": 30, "max_body_bytes": 5_000_000}),
    "collecting": Deployment(collects_model_data=True, app_insights_enabled=True),
}

CLUSTERS = {
    "load balancer": ClusterSettings(
        source_ranges=("10.0.0.0/8",), service_annotations={"example.org/internal": "true"}, callers=("other",)
    ),
    "node port": ClusterSettings(expose=Expose.NODE_PORT, image_pull_secrets=("registry",)),
    "inside": ClusterSettings(expose=Expose.CLUSTER_IP, callers=("web", "batch"), reaches_metadata_service=True),
    "ingress": ClusterSettings(
        expose=Expose.INGRESS, ingress_class="nginx", host="models.example.org", callers=("ingress-nginx",)
    ),
    "ingress without a host": ClusterSettings(expose=Expose.INGRESS, ingress_annotations={"a.example/b": "c"}),
    "gateway": ClusterSettings(expose=Expose.GATEWAY, gateway="infra/public", host="models.example.org"),
    "given namespace": ClusterSettings(
        namespace="science",
        node_selector={"pool": "models"},
        tolerations=({"key": "models", "operator": "Exists"},),
        priority_class="models",
        storage_class="shared",
    ),
    "secrets of somebody else": ClusterSettings(settings_secret="models-settings"),
}

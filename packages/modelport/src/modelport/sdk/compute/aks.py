"""Clusters: names that services are deployed to, and the certificate of those (azureml-v1 reference, 2.11 and 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.compute import AKS, Compute
from modelport.domain.deployments import Deployment, Placement
from modelport.domain.errors import ComputeTargetException
from modelport.sdk.compute.target import ComputeTarget, ComputeTargetConfiguration
from modelport.usecases import compute_targets
from modelport.usecases.compute_targets import TlsRequest
from modelport.usecases.deployment_notes import REPLICAS_ARE_WORKERS

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


@dataclass
class SslConfiguration:
    """How the services of a cluster speak TLS. ``cert`` and ``key`` are texts, not paths."""

    status: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)
    cname: str | None = None
    leaf_domain_label: str | None = None
    overwrite_existing_domain: bool = False
    renew: bool = False
    """Of a vendor's certificate: there is none."""

    def serialize(self) -> dict[str, Any]:
        """With the keys of v1; the key is never shown."""
        return {
            "status": self.status,
            "cert": self.cert,
            "key": None,
            "cname": self.cname,
            "leafDomainLabel": self.leaf_domain_label,
            "overwriteExistingDomain": self.overwrite_existing_domain,
        }


@dataclass
class AksUpdateConfiguration:
    """What ``AksCompute.update`` is to change."""

    ssl_configuration: SslConfiguration | None = None
    load_balancer_type: str | None = None
    load_balancer_subnet: str | None = None


class AksClusterConfiguration(ComputeTargetConfiguration):
    """How a cluster is to be made or attached."""

    def enable_ssl(
        self,
        ssl_cname: str | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        leaf_domain_label: str | None = None,
        overwrite_existing_domain: bool = False,
    ) -> None:
        """Have the services of the cluster show this certificate. With a ``leaf_domain_label``, which asked for one of
        the vendor's, they go on to speak plain HTTP, which is said. Of a cluster with a ``cert_issuer``, ``ssl_cname``
        alone says for which host name that makes certificates.

        Raises ComputeTargetException for a part of the three, or for both kinds.
        """
        own = (ssl_cname, ssl_cert_pem_file, ssl_key_pem_file)
        if leaf_domain_label and any(own):
            raise ComputeTargetException(
                "Invalid TLS configuration: leaf_domain_label cannot be given together with ssl_cname, "
                "ssl_cert_pem_file and ssl_key_pem_file."
            )
        if not leaf_domain_label and not all(own) and not self._is_issued(own):
            raise ComputeTargetException(
                "Invalid TLS configuration: ssl_cname, ssl_cert_pem_file and ssl_key_pem_file must be given together, "
                "or leaf_domain_label alone."
            )
        self.settings |= {
            "ssl_cname": ssl_cname,
            "ssl_cert_pem_file": ssl_cert_pem_file,
            "ssl_key_pem_file": ssl_key_pem_file,
            "leaf_domain_label": leaf_domain_label,
            "overwrite_existing_domain": overwrite_existing_domain,
        }

    def validate_configuration(self) -> None:
        """Raises ComputeTargetException for parameters that exclude or need each other."""
        own = [self.settings.get(name) for name in ("ssl_cname", "ssl_cert_pem_file", "ssl_key_pem_file")]
        if any(own) and not all(own) and not self._is_issued(own):
            raise ComputeTargetException(
                "Invalid TLS configuration: ssl_cname, ssl_cert_pem_file and ssl_key_pem_file must be given together."
            )
        if self.is_attached and self.settings.get("resource_group") and not self.settings.get("cluster_name"):
            raise ComputeTargetException("Invalid attach configuration: resource_group needs cluster_name too.")

    def _is_issued(self, own: Sequence[str | None]) -> bool:
        """Whether only the host name is given, and cert-manager is to make the certificate."""
        cname, *files = own
        return bool(cname and self.settings.get("cert_issuer") and not any(files))

    def connect(self) -> str | None:
        """Find the cluster's context and ask the cluster what it is. Raises ComputeTargetException where the context
        that is named is not there, or its cluster does not answer."""
        settings = self.settings
        named = settings.get("cluster_name") or _last_part(settings.get("resource_id"))
        if not self.is_attached or not (settings.get("context") or named):
            return None
        from modelport.usecases import clusters  # noqa: PLC0415 - clients of clusters take long to load

        if not settings.get("context"):
            if not clusters.is_context(str(named)):
                return None
            settings["context"] = named
        return clusters.check_cluster(settings)

    def tls_request(self) -> TlsRequest | None:
        """The certificate and the key, read. Raises ComputeTargetException for files that are not there."""
        settings = self.settings
        if not settings.get("ssl_cname") and not settings.get("leaf_domain_label"):
            return None
        return TlsRequest(
            status=None if settings.get("ssl_cert_pem_file") or settings.get("leaf_domain_label") else "Enabled",
            certificate=_read(settings.get("ssl_cert_pem_file"), "ssl_cert_pem_file"),
            key=_read(settings.get("ssl_key_pem_file"), "ssl_key_pem_file"),
            cname=settings.get("ssl_cname"),
            leaf_domain_label=settings.get("leaf_domain_label"),
            overwrite_existing_domain=settings.get("overwrite_existing_domain"),
        )


class AksCompute(ComputeTarget):
    """A cluster: of a context of the kubeconfig where it was attached so, else a name."""

    _compute_type: ClassVar[str] = AKS
    _instead: ClassVar[str] = f"services that are deployed to it run on this machine. {REPLICAS_ARE_WORKERS}"
    _how_to_attach: ClassVar[str] = (
        ". Modelport makes no clusters: one of yours is attached by a context of the kubeconfig, "
        "AksCompute.attach_configuration(context=…)"
    )
    _defaults: ClassVar[Mapping[str, Any]] = {
        "agent_count": 3,
        "vm_size": "Standard_D3_v2",
        "cluster_purpose": "FastProd",
        "load_balancer_type": "PublicIp",
    }

    class ClusterPurpose:
        """What a cluster is for."""

        FAST_PROD = "FastProd"
        DEV_TEST = "DevTest"

    def _take(self, compute: Compute) -> None:
        super()._take(compute)
        self.agent_count = self._setting("agent_count")
        self.agent_vm_size = self._setting("vm_size")
        self.vm_size = self.agent_vm_size
        self.cluster_purpose = self._setting("cluster_purpose")
        self.load_balancer_type = self._setting("load_balancer_type")
        self.load_balancer_subnet = self._setting("load_balancer_subnet")
        self.cluster_fqdn = compute.tls.cname if compute.tls.status == "Enabled" else "localhost"
        self.ssl_configuration = SslConfiguration(
            status=compute.tls.status,
            cname=compute.tls.cname,
            leaf_domain_label=compute.tls.leaf_domain_label,
            overwrite_existing_domain=bool(compute.tls.overwrite_existing_domain),
        )

    @staticmethod
    def provisioning_configuration(  # type: ignore[override]
        agent_count: int | None = None,
        vm_size: str | None = None,
        ssl_cname: str | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        location: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        service_cidr: str | None = None,
        dns_service_ip: str | None = None,
        docker_bridge_cidr: str | None = None,
        cluster_purpose: str | None = None,
        load_balancer_type: str | None = None,
        load_balancer_subnet: str | None = None,
    ) -> AksClusterConfiguration:
        """A configuration of a cluster. Of all this, the certificate has an effect; the rest is kept and shown.

        Raises ComputeTargetException for a part of the certificate's three parameters.
        """
        configuration = AksClusterConfiguration(compute_class=AksCompute, settings=dict(locals()))
        configuration.validate_configuration()
        return configuration

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None,
        cluster_name: str | None = None,
        resource_id: str | None = None,
        cluster_purpose: str | None = None,
        *,
        context: str | None = None,
        namespace: str | None = None,
        registry: str | None = None,
        store: str | None = None,
        store_secret: str | None = None,
        stock_image: str | None = None,
        image_pull_secrets: Sequence[str] | None = None,
        expose: str | None = None,
        host: str | None = None,
        ingress_class: str | None = None,
        gateway: str | None = None,
        cert_issuer: str | None = None,
        storage_class: str | None = None,
        kserve: bool | None = None,
    ) -> AksClusterConfiguration:
        """A configuration of a cluster that is there already (docs/kubernetes.md).

        ``context`` names a context of the kubeconfig; without it the cluster's name counts, where a context is called
        so. Then services run in that cluster. Without one the target is a name, and they run on this machine.
        ``registry`` is where images are pushed to, and pulled from by the cluster: an address and maybe a prefix.
        With ``store``, a folder of an object store, no image is made for a service: pods of a stock image fetch its
        bundle from there, with the credentials of the Secret ``store_secret``. ``stock_image`` names that image;
        without it one is made, and pushed to the registry.
        ``host``: of an Ingress or a Gateway; else an address of the nodes, in place of the one that they tell.
        With ``kserve``, services are InferenceServices of KServe, and have no pods while nobody asks.

        Raises ComputeTargetException for a resource group without a cluster's name.
        """
        configuration = AksClusterConfiguration(compute_class=AksCompute, settings=dict(locals()), is_attached=True)
        configuration.validate_configuration()
        return configuration

    @staticmethod
    def attach(  # type: ignore[override]
        workspace: Workspace,
        name: str,
        attach_configuration: AksClusterConfiguration | str | None = None,
        resource_id: str | None = None,
    ) -> ComputeTarget:
        """As of every target; a resource id in the place of the configuration, as the first releases had it, is one."""
        if isinstance(attach_configuration, str):
            attach_configuration, resource_id = None, attach_configuration
        configuration = attach_configuration or AksCompute.attach_configuration(resource_id=resource_id)
        return ComputeTarget.attach(workspace, name, configuration)

    def update(self, update_configuration: AksUpdateConfiguration) -> None:
        """Give the services of the cluster another certificate, or none; load balancers are kept and shown.

        Raises ComputeTargetException for a certificate that cannot be used.
        """
        context, asked = self.workspace.context, update_configuration
        ssl = asked.ssl_configuration
        if ssl is not None:
            if ssl.renew:
                context.progress.step("renew: there is no certificate of a vendor here that could be renewed")
            request = TlsRequest(
                status=ssl.status,
                certificate=ssl.cert,
                key=ssl.key,
                cname=ssl.cname,
                leaf_domain_label=ssl.leaf_domain_label,
                overwrite_existing_domain=ssl.overwrite_existing_domain,
            )
            self._change(lambda: compute_targets.change_tls(context, self.name, request))
        balancer = {
            "load_balancer_type": asked.load_balancer_type,
            "load_balancer_subnet": asked.load_balancer_subnet,
        }
        given = {name: value for name, value in balancer.items() if value is not None}
        if given:
            settings = {**self._compute.settings, **given}
            self._change(lambda: compute_targets.change_compute(context, self.name, settings=settings))

    @property
    def context(self) -> str | None:
        """The context of the kubeconfig in whose cluster services run; None: they run on this machine."""
        named: str | None = self._setting("context")
        return named

    def get_credentials(self) -> dict[str, Any]:
        """How the cluster is reached: the context, and the files where it is looked for. Nothing secret is shown.

        Raises ComputeTargetException where there is no cluster.
        """
        if self.context is not None:
            from modelport.usecases import clusters  # noqa: PLC0415 - clients of clusters take long to load

            return clusters.credentials_of(self.context)
        raise ComputeTargetException(
            f"The compute target {self.name!r} is a name: there is no cluster behind it that could be connected to.",
            hint="Its services run on this machine: Webservice.list(workspace, compute_type='AKS').",
        )

    def to_deployment(self) -> Deployment:
        """What the cluster says of services that are deployed to it."""
        tls = compute_targets.tls_deployment(self.workspace.context, self._compute)
        return replace(tls, placement=Placement(compute_name=self.name, context=self.context))

    def serialize(self) -> dict[str, Any]:
        """With what a cluster has besides."""
        return {
            **super().serialize(),
            "agentCount": self.agent_count,
            "agentVmSize": self.agent_vm_size,
            "clusterFqdn": self.cluster_fqdn,
            "clusterPurpose": self.cluster_purpose,
            "loadBalancerType": self.load_balancer_type,
            "loadBalancerSubnet": self.load_balancer_subnet,
            "sslConfiguration": self.ssl_configuration.serialize(),
            "context": self.context,
        }


def _last_part(resource_id: str | None) -> str | None:
    """Of ``…/managedClusters/NAME``: what the vendor's command names the context."""
    return resource_id.rstrip("/").rpartition("/")[2] if resource_id else None


def _read(path: str | None, parameter: str) -> str | None:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8") if path else None
    except OSError as error:
        raise ComputeTargetException(f"{parameter} {path!r} cannot be read: {error.strerror}.") from error

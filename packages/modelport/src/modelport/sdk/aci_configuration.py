"""How a service that was meant for a container instance runs (azureml-v1 reference, 2.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from modelport.domain.deployments import ComputeType, Deployment, Placement, Resources
from modelport.sdk.deployment_configuration import both_or_none, not_positive, refuse, wrong_forms


@dataclass(kw_only=True)
class AciServiceDeploymentConfiguration:
    """What ``AciWebservice.deploy_configuration`` was given."""

    compute_type: ClassVar[ComputeType] = ComputeType.ACI

    cpu_cores: float | None = None
    memory_gb: float | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    description: str | None = None
    location: str | None = None
    auth_enabled: bool | None = None
    ssl_enabled: bool | None = None
    enable_app_insights: bool | None = None
    ssl_cert_pem_file: str | None = None
    ssl_key_pem_file: str | None = None
    ssl_cname: str | None = None
    dns_name_label: str | None = None
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    collect_model_data: bool | None = None
    cmk_vault_base_url: str | None = None
    cmk_key_name: str | None = None
    cmk_key_version: str | None = None
    vnet_name: str | None = None
    subnet_name: str | None = None

    def validate_configuration(self) -> None:
        """Raises WebserviceException, with one line for each violation."""
        refuse(self.violations())

    def violations(self) -> Iterator[str]:
        """What is wrong with it."""
        wrong = wrong_forms(self)
        if wrong:
            yield from wrong
            return
        yield from not_positive({"cpu_cores": self.cpu_cores, "memory_gb": self.memory_gb})
        yield from wrong_certificate(self.ssl_enabled, self.ssl_cert_pem_file, self.ssl_key_pem_file, self.ssl_cname)
        yield from both_or_none(vnet_name=self.vnet_name, subnet_name=self.subnet_name)
        yield from both_or_none(
            cmk_vault_base_url=self.cmk_vault_base_url,
            cmk_key_name=self.cmk_key_name,
            cmk_key_version=self.cmk_key_version,
        )

    def to_deployment(self) -> Deployment:
        """What was asked for, and nothing else."""
        return Deployment(
            auth_enabled=self.auth_enabled,
            ssl_enabled=self.ssl_enabled,
            ssl_cert_pem_file=absolute(self.ssl_cert_pem_file),
            ssl_key_pem_file=absolute(self.ssl_key_pem_file),
            ssl_cname=self.ssl_cname,
            resources=Resources(cpu=self.cpu_cores or None, memory_gb=self.memory_gb or None),
            placement=Placement(
                location=self.location,
                dns_name_label=self.dns_name_label,
                vnet_name=self.vnet_name,
                subnet_name=self.subnet_name,
                cmk_vault_base_url=self.cmk_vault_base_url,
                cmk_key_name=self.cmk_key_name,
                cmk_key_version=self.cmk_key_version,
            ),
            app_insights_enabled=self.enable_app_insights,
            collects_model_data=self.collect_model_data,
        )

    def notes(self) -> list[str]:
        """None: the deployment says what becomes of what is asked for."""
        return []


def wrong_certificate(
    is_enabled: bool | None, certificate: str | None, key: str | None, cname: str | None
) -> Iterator[str]:
    """What is wrong with the names of a certificate's files."""
    if is_enabled and not (certificate and key and cname):
        yield "ssl_enabled needs ssl_cert_pem_file, ssl_key_pem_file and ssl_cname too."
    for name, path in (("ssl_cert_pem_file", certificate), ("ssl_key_pem_file", key)):
        if path and not Path(path).expanduser().is_file():
            yield f"{name} {path!r} doesn't exist."


def absolute(path: str | None) -> str | None:
    """The path from the root; None for none."""
    return str(Path(path).expanduser().absolute()) if path else None

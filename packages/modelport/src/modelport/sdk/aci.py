"""Services that were meant for container instances, on this machine (azureml-v1 reference, 2.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from modelport.domain.deployments import ComputeType
from modelport.domain.services import Service
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.cloud_service import CloudWebservice
from modelport.sdk.deployment_configuration import refuse
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.service_parts import EncryptionProperties, VnetConfiguration
from modelport.targets.interface import Observation
from modelport.usecases.service_address import host_name

if TYPE_CHECKING:
    from modelport.sdk.images import Image
    from modelport.sdk.model import Model


class AciWebservice(CloudWebservice):
    """A service as a container instance had one: one replica, and no key is asked for unless that is said."""

    compute_type: ClassVar[str] = ComputeType.ACI.value
    failure_code: ClassVar[str] = "AciDeploymentFailed"

    def _take(self, service: Service, observation: Observation) -> None:
        super()._take(service, observation)
        deployment = service.deployment
        self.location = self._placement.location
        self.dns_name_label = self._placement.dns_name_label
        self.ssl_enabled = bool(deployment.ssl_enabled)
        self.cname = deployment.ssl_cname
        self.ssl_certificate: str | None = None
        self.ssl_key: str | None = None
        self.public_ip = observation.host or deployment.host or "127.0.0.1"
        self.public_fqdn = host_name(service, host=observation.host)
        self.encryption_properties = EncryptionProperties.of(self._placement)
        self.vnet_configuration = VnetConfiguration.of(self._placement)

    @staticmethod
    def deploy_configuration(
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        location: str | None = None,
        auth_enabled: bool | None = None,
        ssl_enabled: bool | None = None,
        enable_app_insights: bool | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        ssl_cname: str | None = None,
        dns_name_label: str | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        collect_model_data: bool | None = None,
        cmk_vault_base_url: str | None = None,
        cmk_key_name: str | None = None,
        cmk_key_version: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
    ) -> AciServiceDeploymentConfiguration:
        """A configuration for a service that runs as one replica. What is not given has its default when it is
        deployed: 0.1 cores, 0.5 GB, no authentication, no TLS, the workspace's location.

        Raises WebserviceException, with one line for each violation.
        """
        configuration = AciServiceDeploymentConfiguration(**locals())
        configuration.validate_configuration()
        return configuration

    def update(
        self,
        image: Image | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        auth_enabled: bool | None = None,
        ssl_enabled: bool | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        ssl_cname: str | None = None,
        enable_app_insights: bool | None = None,
        models: Sequence[Model | str] | None = None,
        inference_config: InferenceConfig | None = None,
    ) -> None:
        """Change the service; what is not given stays. New models or code take over without a dropped request, and so
        do new keys and certificates; whether it speaks TLS at all restarts it.

        ``tags`` replaces all tags, ``properties`` adds. Raises WebserviceException where nothing is given.
        """
        configuration = AciServiceDeploymentConfiguration(
            tags=tags,
            properties=properties,
            description=description,
            auth_enabled=auth_enabled,
            ssl_enabled=ssl_enabled,
            ssl_cert_pem_file=ssl_cert_pem_file,
            ssl_key_pem_file=ssl_key_pem_file,
            ssl_cname=ssl_cname,
            enable_app_insights=enable_app_insights,
        )
        refuse(configuration.violations())
        self._apply(configuration, models=models, inference_config=inference_config, image=image)

    def get_token(self) -> NoReturn:
        """Container instances had keys only. Raises NotImplementedError."""
        raise NotImplementedError("ACI webservices do not have token authentication: use auth_enabled and get_keys().")

    def serialize(self) -> dict[str, Any]:
        """With the keys of v1; certificate and key are never shown."""
        return {
            **super().serialize(),
            "containerResourceRequirements": {
                "cpu": self.container_resource_requirements.cpu,
                "memoryInGB": self.container_resource_requirements.memory_in_gb,
            },
            "location": self.location,
            "sslEnabled": self.ssl_enabled,
            "sslCertificate": self.ssl_certificate,
            "sslKey": self.ssl_key,
            "cname": self.cname,
            "publicIp": self.public_ip,
            "publicFqdn": self.public_fqdn,
            "encryptionProperties": self.encryption_properties.serialize(),
            "vnetConfiguration": self.vnet_configuration.serialize(),
        }

"""Services that were meant for a cluster, on this machine (azureml-v1 reference, 2.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.deployments import ComputeType, Deployment
from modelport.domain.services import Service
from modelport.sdk.aks_configuration import AksServiceDeploymentConfiguration
from modelport.sdk.cloud_service import CloudWebservice
from modelport.sdk.deployment_configuration import refuse
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.service_parts import (
    AutoScaler,
    ContainerResourceRequirements,
    DataCollection,
    DeploymentStatus,
    LivenessProbeRequirements,
    plain,
)
from modelport.targets.interface import Observation

if TYPE_CHECKING:
    from modelport.sdk.images import Image
    from modelport.sdk.model import Model


class AksWebservice(CloudWebservice):
    """A service as a cluster had one: a key is asked for unless something else is said, and there are as many replicas
    as the load needs, within bounds."""

    compute_type: ClassVar[str] = ComputeType.AKS.value
    failure_code: ClassVar[str] = "KubernetesDeploymentFailed"

    def _take(self, service: Service, observation: Observation) -> None:
        super()._take(service, observation)
        deployment = self._deployment_of(service)
        self.container_resource_requirements = ContainerResourceRequirements.of(deployment)
        self.autoscaler = AutoScaler.of(deployment)
        self.liveness_probe_requirements = LivenessProbeRequirements.of(deployment)
        self.data_collection = DataCollection(storage_enabled=bool(deployment.collects_model_data))
        self.max_concurrent_requests_per_container = deployment.requests_per_replica
        self.scoring_timeout_ms = plain(deployment.limits.get("scoring_timeout_ms"))
        self.max_request_wait_time = plain(deployment.limits.get("queue_wait_ms"))
        self.num_replicas = deployment.replicas
        self.compute_name = self._placement.compute_name
        self.namespace = self._placement.namespace
        self.deployment_status = _status(service, observation)
        self.is_default: bool | None = None
        self.traffic_percentile: float | None = None
        self.version_type: str | None = None

    def _deployment_of(self, service: Service) -> Deployment:
        """What the attributes of scale and resources tell of."""
        return service.deployment

    @staticmethod
    def deploy_configuration(
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: float | None = None,
        autoscale_target_utilization: float | None = None,
        collect_model_data: bool | None = None,
        auth_enabled: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        enable_app_insights: bool | None = None,
        scoring_timeout_ms: int | None = None,
        replica_max_concurrent_requests: int | None = None,
        max_request_wait_time: int | None = None,
        num_replicas: int | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        gpu_cores: int | None = None,
        period_seconds: float | None = None,
        initial_delay_seconds: float | None = None,
        timeout_seconds: float | None = None,
        success_threshold: int | None = None,
        failure_threshold: int | None = None,
        namespace: str | None = None,
        token_auth_enabled: bool | None = None,
        compute_target_name: str | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
    ) -> AksServiceDeploymentConfiguration:
        """A configuration for a service with replicas. What is not given has its default when it is deployed: 1 to 10
        replicas that are kept 70 % busy, a key that is asked for, one request at a time for each replica, half a second
        of waiting for one, 60 seconds for a request.

        Raises WebserviceException, with one line for each violation.
        """
        configuration = AksServiceDeploymentConfiguration(**locals())
        configuration.validate_configuration()
        return configuration

    def update(
        self,
        image: Image | None = None,
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: float | None = None,
        autoscale_target_utilization: float | None = None,
        collect_model_data: bool | None = None,
        auth_enabled: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        enable_app_insights: bool | None = None,
        scoring_timeout_ms: int | None = None,
        replica_max_concurrent_requests: int | None = None,
        max_request_wait_time: int | None = None,
        num_replicas: int | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        models: Sequence[Model | str] | None = None,
        inference_config: InferenceConfig | None = None,
        gpu_cores: int | None = None,
        period_seconds: float | None = None,
        initial_delay_seconds: float | None = None,
        timeout_seconds: float | None = None,
        success_threshold: int | None = None,
        failure_threshold: int | None = None,
        namespace: str | None = None,
        token_auth_enabled: bool | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
    ) -> None:
        """Change the service; what is not given stays. New models or code take over without a dropped request; scale,
        timeouts and credentials change while it runs.

        ``tags`` replaces all tags, ``properties`` adds. A number of replicas ends automatic scaling, and the other way
        round. Raises WebserviceException where nothing is given.
        """
        given = {name: value for name, value in locals().items() if name not in _NOT_OF_THE_CONFIGURATION}
        configuration = AksServiceDeploymentConfiguration(**given)
        refuse(configuration.violations(present=self._service.deployment))
        self._apply(configuration, models=models, inference_config=inference_config, image=image)

    def serialize(self) -> dict[str, Any]:
        """With the keys of v1."""
        return {
            **super().serialize(),
            "autoScaler": self.autoscaler.serialize(),
            "computeName": self.compute_name,
            "dataCollection": self.data_collection.serialize(),
            "maxConcurrentRequestsPerContainer": self.max_concurrent_requests_per_container,
            "maxQueueWaitMs": self.max_request_wait_time,
            "livenessProbeRequirements": self.liveness_probe_requirements.serialize(),
            "numReplicas": self.num_replicas,
            "deploymentStatus": self.deployment_status.serialize(),
            "scoringTimeoutMs": self.scoring_timeout_ms,
            "aadAuthEnabled": self.token_auth_enabled,
            "isDefault": self.is_default,
            "trafficPercentile": self.traffic_percentile,
            "versionType": self.version_type,
        }


_NOT_OF_THE_CONFIGURATION = ("self", "image", "models", "inference_config", "__class__")


def _status(service: Service, observation: Observation) -> DeploymentStatus:
    seen = observation.revisions.get(service.active_revision)
    if seen is None:
        return DeploymentStatus()
    error = None if seen.failure is None else seen.failure.message
    return DeploymentStatus(
        replicas=seen.replicas, updated_replicas=seen.replicas, available_replicas=seen.ready_replicas, error=error
    )

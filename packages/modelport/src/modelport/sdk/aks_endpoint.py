"""Endpoints: versions that share the requests to one address (azureml-v1 reference, 2.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.deployments import ComputeType, Deployment, merged
from modelport.domain.endpoints import VersionType as _VersionType
from modelport.domain.services import Service
from modelport.sdk.aks import AksWebservice
from modelport.sdk.aks_configuration import (
    AksEndpointDeploymentConfiguration,
    AksServiceDeploymentConfiguration,
    wrong_version,
)
from modelport.sdk.deployment_configuration import refuse, texts
from modelport.sdk.endpoint_version import AksEndpointVersion
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.new_revision import first_revision, new_revision
from modelport.targets.interface import Observation
from modelport.usecases import endpoint_versions
from modelport.usecases.endpoint_versions import VersionChange
from modelport.usecases.prepare_revision import RevisionSource

if TYPE_CHECKING:
    from modelport.sdk.model import Model


class VersionType(Enum):
    """The labels that versions have."""

    control = _VersionType.CONTROL.value
    treatment = _VersionType.TREATMENT.value


class AksEndpoint(AksWebservice):
    """An endpoint of up to six versions. What it tells of scale and resources is its default version's."""

    compute_type: ClassVar[str] = ComputeType.AKS_ENDPOINT.value
    VersionType = VersionType

    def _take(self, service: Service, observation: Observation) -> None:
        super()._take(service, observation)
        self._observation = observation

    def _deployment_of(self, service: Service) -> Deployment:
        default = service.default_version
        return service.deployment if default is None else merged(service.deployment, default.deployment)

    @property
    def versions(self) -> dict[str, AksWebservice]:
        """The versions by name, oldest first, as they were at the last snapshot."""
        return {
            version.name: AksEndpointVersion(self, version, self._observation) for version in self._service.versions
        }

    @staticmethod
    def deploy_configuration(  # type: ignore[override]
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
        version_name: str | None = None,
        traffic_percentile: float | None = None,
        compute_target_name: str | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
    ) -> AksEndpointDeploymentConfiguration:
        """A configuration for an endpoint and its first version, which is the default one. Without a ``version_name``
        the version is named as the endpoint is.

        Raises WebserviceException, with one line for each violation.
        """
        configuration = AksEndpointDeploymentConfiguration(**locals())
        configuration.validate_configuration()
        return configuration

    # --- its versions -------------------------------------------------------------------------------------------------

    def create_version(
        self,
        version_name: str,
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: float | None = None,
        autoscale_target_utilization: float | None = None,
        collect_model_data: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
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
        traffic_percentile: float | None = None,
        is_default: bool | None = None,
        is_control_version_type: bool | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
    ) -> None:
        """Start one more version beside the others; returns when it is ready, so that ``wait_for_deployment`` has
        nothing to wait for. Requests that no version is given go to the default one.

        Raises WebserviceException for what cannot be, and for a seventh version; DeploymentFailed where it does not
        come up: the others go on.
        """
        given = dict(locals())
        configuration = _configuration(given)
        refuse([*configuration.violations(), *wrong_version(version_name, traffic_percentile)])
        self._note(configuration)
        revision = first_revision(self.workspace.context, models or (), inference_config)
        change = _change(given, configuration, revision)
        context, name = self.workspace.context, self.name
        self._changed(lambda: endpoint_versions.create_version(context, name, version_name, change))

    def update_version(
        self,
        version_name: str,
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: float | None = None,
        autoscale_target_utilization: float | None = None,
        collect_model_data: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
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
        traffic_percentile: float | None = None,
        is_default: bool | None = None,
        is_control_version_type: bool | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
    ) -> None:
        """Change a version; what is not given stays. Other models, code and timeouts come with new workers that take
        over without a dropped request; replicas are added and removed as they are; a share and the default change from
        one request to the next.

        ``tags`` replaces all tags, ``properties`` adds. Raises WebserviceException where nothing is given.
        """
        given = dict(locals())
        context, service = self.workspace.context, self.workspace.context.service(self.name)
        version = endpoint_versions.present_version(service, version_name)
        configuration = _configuration(given)
        refuse([*configuration.violations(present=version.deployment), *wrong_version(None, traffic_percentile)])
        self._note(configuration)
        revision = new_revision(context, service.revision(version.revision), models, inference_config)
        change = _change(given, configuration, revision)
        self._changed(lambda: endpoint_versions.update_version(context, self.name, version_name, change))

    def delete_version(self, version_name: str) -> None:
        """End a version once it has finished what it holds. If it is the default one, the one with most traffic takes
        its place. Raises WebserviceException for the last one: delete the endpoint then."""
        context, name = self.workspace.context, self.name
        self._changed(lambda: endpoint_versions.delete_version(context, name, version_name))

    # --- itself -------------------------------------------------------------------------------------------------------

    def update(  # type: ignore[override]
        self,
        auth_enabled: bool | None = None,
        token_auth_enabled: bool | None = None,
        enable_app_insights: bool | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Change what all versions share; what is not given stays. ``tags`` replaces all tags, ``properties`` adds.

        Raises WebserviceException where nothing is given.
        """
        configuration = AksServiceDeploymentConfiguration(
            auth_enabled=auth_enabled,
            token_auth_enabled=token_auth_enabled,
            enable_app_insights=enable_app_insights,
            description=description,
            tags=tags,
            properties=properties,
        )
        refuse(configuration.violations(present=self._service.deployment))
        self._apply(configuration, models=None, inference_config=None, image=None)

    def serialize(self) -> dict[str, Any]:
        """With the keys of v1, and the versions by their names."""
        return {
            **super().serialize(),
            "versions": {name: version.serialize() for name, version in self.versions.items()},
        }


_OF_THE_VERSION = (
    "self",
    "version_name",
    "models",
    "inference_config",
    "traffic_percentile",
    "is_default",
    "is_control_version_type",
)


def _configuration(given: Mapping[str, Any]) -> AksServiceDeploymentConfiguration:
    """The arguments that a service of a cluster has too."""
    return AksServiceDeploymentConfiguration(
        **{name: value for name, value in given.items() if name not in _OF_THE_VERSION}
    )


def _change(
    given: Mapping[str, Any], configuration: AksServiceDeploymentConfiguration, revision: RevisionSource | None
) -> VersionChange:
    deployment = configuration.to_deployment()
    return VersionChange(
        revision=revision,
        deployment=deployment if deployment.asks_for_anything else None,
        traffic_percentile=given["traffic_percentile"],
        is_default=given["is_default"],
        is_control=given["is_control_version_type"],
        description=configuration.description,
        tags=texts(configuration.tags),
        properties=texts(configuration.properties, what="properties"),
    )

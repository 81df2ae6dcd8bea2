"""One version of an endpoint, as an object that ``endpoint.versions`` holds (azureml-v1 reference, 2.10)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelport.domain.deployments import Deployment, merged
from modelport.domain.endpoints import VERSION_HEADER, EndpointVersion
from modelport.domain.errors import WebserviceException
from modelport.domain.services import Service, ServiceState
from modelport.domain.tokens import AccessToken
from modelport.sdk.aks import AksWebservice
from modelport.sdk.service_parts import plain
from modelport.targets.interface import Observation, RevisionObservation

if TYPE_CHECKING:
    from modelport.sdk.aks_endpoint import AksEndpoint

_NOT_THERE = RevisionObservation(state=ServiceState.STOPPED)


class AksEndpointVersion(AksWebservice):
    """A version. Its address, keys and tokens are the endpoint's; ``run`` asks this very version."""

    def __init__(self, endpoint: AksEndpoint, version: EndpointVersion, observation: Observation) -> None:
        self.workspace = endpoint.workspace
        self.name = version.name
        self.endpoint = endpoint
        self._version = version
        service = endpoint._service
        self._take(_as_service(service, version), _of_version(observation, version))
        self.is_default = service.active_revision == version.revision
        self.traffic_percentile = plain(version.traffic_percentile)
        self.version_type = version.version_type.value
        self.created_time, self.updated_time = version.created_time, version.updated_time

    def __new__(cls, *arguments: Any) -> AksEndpointVersion:
        return object.__new__(cls)

    def update_deployment_state(self) -> None:
        """Take a new snapshot. Raises WebserviceException where the version is gone."""
        self.endpoint.update_deployment_state()
        present = self.endpoint.versions.get(self.name)
        if present is None:
            raise WebserviceException(f"VersionNotFound: {self.endpoint.name!r} has no version {self.name!r} any more.")
        self.__dict__.update(present.__dict__)

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Wait for the endpoint with all its versions."""
        self.endpoint.wait_for_deployment(show_output, timeout_sec)
        self.update_deployment_state()

    def run(self, input_data: str | bytes) -> Any:
        """POST the text to this very version."""
        from modelport.usecases.score_again import score_again  # noqa: PLC0415 - the HTTP client takes long to load

        headers = {VERSION_HEADER: str(self._version.revision)}
        return score_again(self.workspace.context, self.endpoint.name, input_data, headers=headers)

    def get_keys(self) -> tuple[str, str]:
        """The endpoint's."""
        return self.endpoint.get_keys()

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Of the endpoint, for all its versions."""
        self.endpoint.regen_key(key, set_key)

    def get_access_token(self) -> AccessToken:
        """A token for the endpoint."""
        return self.endpoint.get_access_token()

    def update(self, *arguments: Any, **changes: Any) -> None:
        """``endpoint.update_version``, by keywords."""
        if arguments:
            raise TypeError("a version is updated by keywords, as endpoint.update_version is")
        self.endpoint.update_version(self.name, **changes)
        self.update_deployment_state()

    def delete(self, *, force: bool = False) -> None:
        """``endpoint.delete_version``. Raises NotImplementedError with ``force``, which is for a whole endpoint."""
        if force:
            raise NotImplementedError("An endpoint is given up with all its versions: endpoint.delete(force=True).")
        self.endpoint.delete_version(self.name)

    def reload(self, wait: bool = True) -> None:
        """Not of a single version. Raises NotImplementedError."""
        raise NotImplementedError("Reload a version by endpoint.update_version(version_name=…, inference_config=…).")

    def rollback(self, revision: int | None = None) -> None:
        """Not of a single version. Raises NotImplementedError."""
        raise NotImplementedError("Make another version the default one: endpoint.update_version(…, is_default=True).")

    def start(self) -> None:
        """Not of a single version. Raises NotImplementedError."""
        raise NotImplementedError("The versions of an endpoint start and stop together: endpoint.start().")

    def stop(self) -> None:
        """Not of a single version. Raises NotImplementedError."""
        raise NotImplementedError("The versions of an endpoint start and stop together: endpoint.stop().")


def _as_service(endpoint: Service, version: EndpointVersion) -> Service:
    """What the version would be as a service of its own."""
    deployment: Deployment = merged(endpoint.deployment, version.deployment)
    return replace(
        endpoint,
        deployment=deployment,
        active_revision=version.revision,
        versions=(version,),
        description=version.description,
        tags=version.tags,
        properties=version.properties,
        failure=None,
    )


def _of_version(endpoint: Observation, version: EndpointVersion) -> Observation:
    seen = endpoint.revisions.get(version.revision, _NOT_THERE)
    return replace(endpoint, state=seen.state, failure=seen.failure, active_revision=version.revision)

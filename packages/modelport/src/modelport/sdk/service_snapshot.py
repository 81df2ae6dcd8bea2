"""What an object of a service shows, as it was when the object was made or refreshed (azureml-v1 reference, 2.6)."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.deployments import RunsOn
from modelport.domain.errors import DeploymentFailed
from modelport.domain.services import Service
from modelport.environments.definition_json import definition_to_json
from modelport.sdk.environment import Environment
from modelport.sdk.images import Image
from modelport.targets.interface import Observation
from modelport.usecases.reload import environment_of
from modelport.usecases.service_address import base_url
from modelport.usecases.wait import failure_now

if TYPE_CHECKING:
    from modelport.sdk.model import Model
    from modelport.sdk.workspace import Workspace


class ServiceSnapshot:
    """The attributes of ``Webservice``."""

    compute_type: ClassVar[str] = ""
    workspace: Workspace
    name: str
    image_id: str | None = None
    """``name:version`` of the image that the service runs; None where it was deployed without one."""
    image_digest: str | None = None
    """The digest of its bundle."""
    started_by: str | None = None
    """The version of Modelport that started it, where it may refuse changes until ``restart()``; else None."""

    def _take(self, service: Service, observation: Observation) -> None:
        self._service = service
        self.state: str = observation.state.value
        self.description = service.description
        self.tags = dict(service.tags)
        self.properties = dict(service.properties)
        self.created_time = service.created_time
        self.updated_time = service.updated_time
        self.created_by = {"userName": service.created_by}
        # Where a cluster does not tell its address, the port alone would be read as one of this machine.
        is_elsewhere = service.deployment.place.runs_on is RunsOn.KUBERNETES and observation.host is None
        self.port = observation.port or (None if is_elsewhere else service.port)
        self._host = observation.host
        self._speaks_tls = observation.speaks_tls
        self.started_by = observation.started_by
        self.auth_enabled = bool(service.deployment.auth_enabled)
        self.token_auth_enabled = bool(service.deployment.token_auth_enabled)
        self.image_id = service.active.image_id
        self.image_digest = service.active.bundle_digest if self.image_id else None
        failure = failure_now(self.workspace.context, service, observation)
        self.error = DeploymentFailed(failure).text if failure else None

    @property
    def image(self) -> Image | None:
        """The image that the service runs; None where it was deployed without one."""
        return None if self.image_id is None else Image(self.workspace, id=self.image_id)

    @property
    def scoring_uri(self) -> str | None:
        """Where to POST; None before the service has a port."""
        return None if self.port is None else f"{self._base_url(self.port)}/score"

    @property
    def swagger_uri(self) -> str | None:
        """Where the OpenAPI document is."""
        return None if self.port is None else f"{self._base_url(self.port)}/swagger.json"

    def _base_url(self, port: int) -> str:
        return base_url(self._service, port, host=self._host, speaks_tls=self._speaks_tls)

    @property
    def models(self) -> builtins.list[Model]:
        """The models of the active revision; one that was deleted since is left out."""
        known = self.workspace.model_versions()
        return [known[model_id] for model_id in self._service.model_ids if model_id in known]

    @property
    def environment(self) -> Environment | None:
        """The environment of the active revision; None where it runs on the interpreter that deployed it."""
        definition = environment_of(self.workspace.context, self._service.active)
        version = self._service.active.environment_version
        return None if definition is None else Environment.from_definition(definition, version=version)

    @property
    def revision(self) -> int:
        """Number of the revision that takes the requests."""
        return self._service.active_revision

    def placed(self) -> dict[str, Any]:
        """Where it runs: as what, and of which engine or cluster."""
        place = self._service.deployment.place
        where = {"engine": place.engine, "context": place.context}
        return {"runsOn": self._service.deployment.runs_on.value, **{key: name for key, name in where.items() if name}}

    def serialize(self) -> dict[str, Any]:
        """The service as a dictionary with the keys that all of v1's services had (azureml-v1 reference, 4.7)."""
        return {
            "name": self.name,
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            "state": self.state,
            "createdTime": self.created_time.isoformat(),
            "updatedTime": self.updated_time.isoformat(),
            "createdBy": self.created_by,
            "error": self.error,
            "computeType": self.compute_type,
            "workspaceName": self.workspace.name,
            "imageId": self.image_id,
            "imageDigest": self.image_digest,
            "imageDetails": None if self.image is None else self.image.serialize(),
            "scoringUri": self.scoring_uri,
            "environmentDetails": self._environment_details(),
            "modelDetails": self._model_details(),
            "authEnabled": self.auth_enabled,
            "appInsightsEnabled": bool(self._service.deployment.app_insights_enabled),
            "containerResourceRequirements": None,
        }

    def _environment_details(self) -> dict[str, Any] | None:
        """Without the password of an image registry."""
        environment = self.environment
        if environment is None:
            return None
        details = definition_to_json(environment.to_definition(), version=environment.version)
        details["docker"]["baseImageRegistry"].pop("password", None)
        return details

    def _model_details(self) -> builtins.list[dict[str, Any]]:
        """A model that was deleted since has its id only."""
        known = {model.id: model.serialize() for model in self.models}
        return [known.get(model_id, {"id": model_id}) for model_id in self._service.model_ids]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(workspace={self.workspace!r}, name={self.name}, compute_type={self.compute_type}, "
            f"state={self.state}, scoring_uri={self.scoring_uri}, tags={self.tags}, properties={self.properties})"
        )

"""Services, whatever their target (azureml-v1 reference, 2.6)."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.errors import DeploymentFailed
from modelport.domain.models import Condition
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.tokens import AccessToken
from modelport.sdk.dots import Dots
from modelport.targets.interface import Observation
from modelport.usecases import keys, run_service, tokens
from modelport.usecases.change_model import merged_properties
from modelport.usecases.reload import reload
from modelport.usecases.roll_back import roll_back
from modelport.usecases.score import base_url, score
from modelport.usecases.update import ServiceChange, update
from modelport.usecases.wait import failure_now, observe, wait_for_deployment

if TYPE_CHECKING:
    from modelport.sdk.model import Model
    from modelport.sdk.workspace import Workspace


class Webservice:
    """A service. Attributes are a snapshot; ``update_deployment_state()`` takes a new one.

    ``Webservice(workspace, name)`` returns an object of the class that fits the service's target.
    """

    compute_type: ClassVar[str] = ""
    _classes: ClassVar[dict[str, type[Webservice]]] = {}

    def __init_subclass__(cls) -> None:
        Webservice._classes[cls.compute_type.upper()] = cls

    def __new__(cls, workspace: Workspace, name: str, **options: Any) -> Webservice:
        if cls is not Webservice:
            return super().__new__(cls)
        return super().__new__(cls._class_of(workspace.context.service(name)))

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises WebserviceException (``WebserviceNotFound``) where there is no such service."""
        self.workspace = workspace
        self.name = name
        self._take(*observe(workspace.context, name))

    @classmethod
    def _class_of(cls, service: Service) -> type[Webservice]:
        return cls._classes[service.compute_type.upper()]

    @staticmethod
    def _from_service(workspace: Workspace, service: Service) -> Webservice:
        return Webservice._class_of(service)(workspace, service.name)

    def _take(self, service: Service, observation: Observation) -> None:
        self._service = service
        self.state: str = observation.state.value
        self.description = service.description
        self.tags = dict(service.tags)
        self.properties = dict(service.properties)
        self.created_time = service.created_time
        self.updated_time = service.updated_time
        self.created_by = {"userName": service.created_by}
        self.port = observation.port or service.port
        self.auth_enabled = bool(service.deployment.auth_enabled)
        self.token_auth_enabled = bool(service.deployment.token_auth_enabled)
        failure = failure_now(self.workspace.context, service, observation)
        self.error = DeploymentFailed(failure).text if failure else None

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def scoring_uri(self) -> str | None:
        """Where to POST; None before the service has a port."""
        return None if self.port is None else f"{base_url(self._service, self.port)}/score"

    @property
    def swagger_uri(self) -> str | None:
        """Where the OpenAPI document is."""
        return None if self.port is None else f"{base_url(self._service, self.port)}/swagger.json"

    @property
    def models(self) -> builtins.list[Model]:
        """The models of the active revision; one that was deleted since is left out."""
        known = self.workspace.model_versions()
        return [known[model_id] for model_id in self._service.model_ids if model_id in known]

    @property
    def revision(self) -> int:
        """Number of the revision that takes the requests."""
        return self._service.active_revision

    def update_deployment_state(self) -> None:
        """Take a new snapshot. Raises WebserviceException where the service is gone."""
        self._take(*observe(self.workspace.context, self.name))

    # --- using it -----------------------------------------------------------------------------------------------------

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Return when the service takes requests.

        Raises DeploymentFailed (a WebserviceException) within a second of a failure, with the phase, the traceback and
        one thing to try; WebserviceException at the timeout.
        """
        with Dots(shown=show_output) as dots:
            wait_for_deployment(self.workspace.context, self.name, timeout_s=timeout_sec, tick=dots.tick)
            self.update_deployment_state()
            dots.finish(f'{self.compute_type or "Local"} service creation operation finished, operation "Succeeded"')
        if show_output and self.scoring_uri:
            self.workspace.context.progress.step(f"The service runs at {self.scoring_uri}")

    def run(self, input_data: str | bytes) -> Any:
        """POST the text, as it is, and return the parsed JSON of the answer.

        Raises WebserviceException with ``Response Code:``, ``Headers:`` and ``Content:`` lines for any other answer.
        """
        return score(self.workspace.context, self.name, input_data)

    def get_logs(self, num_lines: int = 5000, init: bool = False) -> str:
        """The last lines of what the script printed and the server said of it."""
        return self.workspace.context.target(self.compute_type).logs(self._service, lines=num_lines)

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key. Raises WebserviceException where key authentication is off."""
        current = keys.get_keys(self.workspace.context.service(self.name))
        return current.primary, current.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Replace the ``Primary`` or the ``Secondary`` key, by ``set_key`` or a new one; the other goes on working."""
        keys.regenerate_key(self.workspace.context, self.name, key, value=set_key)

    def get_token(self) -> tuple[str, dt.datetime]:
        """A new access token, and the local time from which on the next one should be asked for.

        Raises NotImplementedError where token authentication is off, as v1's local services did.
        """
        if not self.token_auth_enabled:
            raise NotImplementedError(
                f"The service {self.name!r} has no token authentication: update it with token_auth_enabled=True, or "
                "use auth_enabled and get_keys()."
            )
        token = self.get_access_token()
        return token.access_token, token.refresh_after

    def get_access_token(self) -> AccessToken:
        """A new access token with its times. Raises WebserviceException where token authentication is off."""
        context = self.workspace.context
        return tokens.get_access_token(context, context.service(self.name))

    # --- changing it --------------------------------------------------------------------------------------------------

    def reload(self, wait: bool = True) -> None:
        """Ship the source again and switch to it, with the same models and environment, without dropping a request."""
        self._changed(lambda: reload(self.workspace.context, self.name))

    def rollback(self, revision: int | None = None) -> None:
        """Go back to the revision before the active one, or to a kept one by its number, without dropping a request."""
        self._changed(lambda: roll_back(self.workspace.context, self.name, number=revision))

    def start(self) -> None:
        """Start the service again after ``stop``."""
        self._changed(lambda: run_service.start(self.workspace.context, self.name))

    def stop(self) -> None:
        """End the service; it stays in the workspace."""
        self._changed(lambda: run_service.stop(self.workspace.context, self.name))

    def update(self, *args: Any, **options: Any) -> None:
        """Change the service without dropping a request; what can be given is the target's (see its class)."""
        raise NotImplementedError(f"A {type(self).__name__} cannot be updated.")

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags, or give them new values."""
        self._update(ServiceChange(tags={**self._service.tags, **tags}))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        self._update(ServiceChange(tags={key: value for key, value in self._service.tags.items() if key not in tags}))

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Add properties. Raises WebserviceException for one that is there with another value."""
        self._update(ServiceChange(properties=merged_properties(self._service.properties, properties)))

    def delete(self) -> None:
        """Stop the service and remove it. Nothing happens where it is gone already."""
        if self.workspace.registry.service(self.name) is not None:
            run_service.delete(self.workspace.context, self.name)
        self.state = "deleted"

    def _update(self, change: ServiceChange) -> None:
        self._changed(lambda: update(self.workspace.context, self.name, change))

    def _changed(self, act: Callable[[], Service]) -> None:
        try:
            act()
        finally:
            if self.workspace.registry.service(self.name) is not None:
                self.update_deployment_state()

    # --- finding and writing down -------------------------------------------------------------------------------------

    @staticmethod
    def list(
        workspace: Workspace,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
        image_digest: str | None = None,
    ) -> builtins.list[Webservice]:
        """The services that fit, by name. Services here have no images, so none fits an image."""
        if image_name is not None or image_id is not None or image_digest is not None:
            return []
        wanted = ServiceFilter(
            compute_type=compute_type,
            model_name=model_name,
            model_id=model_id,
            tags=_conditions(tags),
            properties=_conditions(properties),
        )
        return [Webservice._from_service(workspace, service) for service in workspace.registry.services(wanted)]

    def serialize(self) -> dict[str, Any]:
        """The service as a dictionary with the keys that v1's local services had, and ours."""
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
            "imageId": None,
            "scoringUri": self.scoring_uri,
            "swaggerUri": self.swagger_uri,
            "port": self.port,
            "authEnabled": self.auth_enabled,
            "tokenAuthEnabled": self.token_auth_enabled,
            "sslEnabled": bool(self._service.deployment.ssl_enabled),
            "modelDetails": [{"id": model_id} for model_id in self._service.model_ids],
            "revision": self.revision,
            "revisions": [kept.number for kept in self._service.revisions],
        }

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(workspace={self.workspace!r}, name={self.name}, compute_type={self.compute_type}, "
            f"state={self.state}, scoring_uri={self.scoring_uri}, tags={self.tags}, properties={self.properties})"
        )


def _conditions(given: Sequence[Condition] | None) -> tuple[str | tuple[str, ...], ...]:
    return tuple(condition if isinstance(condition, str) else tuple(condition) for condition in given or ())

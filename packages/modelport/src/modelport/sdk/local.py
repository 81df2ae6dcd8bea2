"""Services on this machine (azureml-v1 reference, 2.7)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.deployments import ComputeType
from modelport.domain.services import ServiceState
from modelport.sdk.deploying import promote
from modelport.sdk.deployment_configuration import DeploymentConfiguration, texts
from modelport.sdk.image_configuration import ImageConfiguration
from modelport.sdk.images import Image
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.local_configuration import LocalDeploymentConfiguration
from modelport.sdk.new_revision import new_revision
from modelport.sdk.service_settings import ServiceSettings
from modelport.sdk.webservice import Webservice
from modelport.usecases.update import ServiceChange

if TYPE_CHECKING:
    from modelport.sdk.model import Model
    from modelport.sdk.workspace import Workspace

_V1_KEYS = (
    "name",
    "tags",
    "properties",
    "state",
    "createdTime",
    "updatedTime",
    "error",
    "computeType",
    "workspaceName",
    "imageId",
    "scoringUri",
    "swaggerUri",
    "port",
)


def _is_there(workspace: Workspace, name: str) -> bool:
    """Whether there is a service of that name that was meant for this machine."""
    service = workspace.registry.service(name)
    return service is not None and service.compute_type == ComputeType.LOCAL


def _file_key(name: str) -> str:
    """``warm_up`` as ``warmUp``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class LocalWebservice(Webservice, ServiceSettings):
    """A service on this machine: its own processes, which outlive the program that deployed it."""

    compute_type: ClassVar[str] = "Local"
    retries: ClassVar[bool] = False

    NETWORK_NAME = "azureml-local"
    STATE_DEPLOYING = ServiceState.DEPLOYING.value
    STATE_RUNNING = ServiceState.RUNNING.value
    STATE_FAILED = ServiceState.FAILED.value
    STATE_DELETED = ServiceState.DELETED.value
    STATE_UNKNOWN = ServiceState.UNKNOWN.value

    def __init__(self, workspace: Workspace, name: str, must_exist: bool = True) -> None:
        """Raises WebserviceException (``WebserviceNotFound``) where there is none, unless ``must_exist`` is False."""
        if must_exist or _is_there(workspace, name):
            super().__init__(workspace, name)
            return
        self.workspace, self.name = workspace, name
        self._take_nothing()

    def _take_nothing(self) -> None:
        self.state = self.STATE_UNKNOWN
        self.port, self.error, self.description = None, None, None
        self.auth_enabled = self.token_auth_enabled = False
        self.tags, self.properties = {}, {}

    def update_deployment_state(self, must_exist: bool = False) -> None:
        """Take a new snapshot. Where the service is gone the state is ``unknown``, or WebserviceNotFound is raised."""
        if must_exist or _is_there(self.workspace, self.name):
            super().update_deployment_state()
        else:
            self._take_nothing()

    # --- finding and writing down -------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """As of every service, its addresses and revisions, and its settings by their keys in a deployment
        configuration file; where there is no service, the keys of v1 with nothing in them."""
        if self.state != self.STATE_UNKNOWN:
            return {
                **super().serialize(),
                "swaggerUri": self.swagger_uri,
                "port": self.port,
                "tokenAuthEnabled": self.token_auth_enabled,
                "sslEnabled": bool(self._service.deployment.ssl_enabled),
                "revision": self.revision,
                "revisions": [kept.number for kept in self._service.revisions],
                **{_file_key(name): value for name, value in self.settings.items()},
                "scoringTimeoutMs": self.scoring_timeout_ms,
                "maxConcurrentRequestsPerContainer": self.max_concurrent_requests_per_container,
                "maxQueueWaitMs": self.max_request_wait_time,
            }
        own = {"name": self.name, "state": self.state, "computeType": self.compute_type}
        return dict.fromkeys(_V1_KEYS) | own | {"workspaceName": self.workspace.name, "tags": {}, "properties": {}}

    @classmethod
    def deserialize(cls, workspace: Workspace, payload: Mapping[str, Any]) -> Webservice:
        """Raises NotImplementedError, as in v1: a local service is found by its name."""
        raise NotImplementedError(
            "A local service is not made from a dictionary: use LocalWebservice(workspace, name)."
        )

    @staticmethod
    def list(  # type: ignore[override]
        workspace: Workspace, model_name: str | None = None, model_id: str | None = None, all: bool | None = None
    ) -> builtins.list[Webservice]:
        """The running services of this machine that have the model; with ``all``, those that do not run too."""
        found = Webservice.list(workspace, compute_type="Local", model_name=model_name, model_id=model_id)
        return [service for service in found if all or service.state == LocalWebservice.STATE_RUNNING]

    @staticmethod
    def deploy_configuration(
        port: int | None = None,
        *,
        host: str | None = None,
        auth_enabled: bool | None = None,
        token_auth_enabled: bool | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        ssl_enabled: bool | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        ssl_cname: str | None = None,
        workers: int | None = None,
        server_processes: int | None = None,
        worker_start: str | None = None,
        warm_up: bool | None = None,
        batching: bool | int | Mapping[str, float] | None = None,
        gpu_cores: int | None = None,
        cors_origins: str | Sequence[str] | None = None,
        error_mode: str | None = None,
        telemetry: Mapping[str, bool | float | str | None] | None = None,
        enable_app_insights: bool | None = None,
        collect_model_data: bool | None = None,
        limits: Mapping[str, float] | None = None,
        scoring_timeout_ms: int | None = None,
        replica_max_concurrent_requests: int | None = None,
        max_concurrent_requests_per_container: int | None = None,
        max_request_wait_time: int | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LocalDeploymentConfiguration:
        """A configuration for a service on this machine; docs/settings.md has every parameter. Without a port a free
        one is taken.

        ``batching``: True, so many requests at most, or ``{"max_requests": 64, "max_wait_ms": 0}``: requests that wait
        together are scored by one call of ``run()``, whose rows must not depend on each other. ``worker_start``:
        ``spawn``, or ``fork``, so that workers share memory. ``cors_origins``: a list, or a text with commas.
        ``error_mode``: ``cloud``, ``container`` or ``json``. ``telemetry``: ``{"access_log": True, …}``.
        ``replica_max_concurrent_requests`` and ``max_concurrent_requests_per_container`` are one limit, a replica being
        the service on this machine. Certificate and key are copied; given to ``update``, new ones are taken over
        without a restart.

        Raises WebserviceException, with one line for each violation.
        """
        configuration = LocalDeploymentConfiguration(**locals())
        configuration.validate_configuration()
        return configuration

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """As of every service; with ``show_output`` the last line says where it runs: ``http://localhost:<port>``."""
        super().wait_for_deployment(show_output, timeout_sec)
        if show_output and self.scoring_uri:
            self.workspace.context.progress.step(
                f"Local webservice is running at {self.scoring_uri.removesuffix('/score')}"
            )

    def reload(self, wait: bool = False) -> None:
        """Ship the source again and switch to it, with the same models and environment, without dropping a request.

        ``wait`` changes nothing: it returns when the new code takes the requests.
        """
        super().reload()

    def update(
        self,
        models: Sequence[Model | str] | None = None,
        image_config: InferenceConfig | ImageConfiguration | None = None,
        deployment_config: LocalDeploymentConfiguration | None = None,
        wait: bool = False,
        inference_config: InferenceConfig | None = None,
        *,
        image: Image | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Change the service without dropping a request; what is not given stays.

        A new revision starts beside the old one and takes over when its ``init()`` has returned. Raises
        DeploymentFailed where it does not come up: the old one goes on. The second positional argument may be an
        InferenceConfig, as in v1's documents. ``image`` is what the service runs from then on.
        """
        inference = inference_config or image_config
        if deployment_config is not None:
            deployment_config.validate_configuration()
            self._note(deployment_config)
        self._update(
            ServiceChange(
                revision=new_revision(self.workspace.context, self._service.active, models, inference, image),
                deployment=None if deployment_config is None else deployment_config.to_deployment(),
                primary_key=None if deployment_config is None else deployment_config.primary_key,
                secondary_key=None if deployment_config is None else deployment_config.secondary_key,
                description=description,
                tags=texts(tags),
                properties=texts(properties, what="properties"),
            )
        )

    def _note(self, configuration: LocalDeploymentConfiguration) -> None:
        for note in configuration.notes():
            self.workspace.context.progress.step(note)

    def deploy_to_cloud(
        self,
        name: str | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
    ) -> Webservice:
        """Deploy what this service runs as one of a cloud's kind: a container instance's, unless the configuration or a
        target says something else. It runs on this machine too, as its log says.

        Without a name this service itself becomes that one, where it listens, and this object names nothing any more.
        """
        return promote(
            self.workspace,
            self._service,
            name or self.name,
            deployment_config=deployment_config,
            deployment_target=deployment_target,
        )

    def get_logs(self, num_lines: int = 5000, raw: bool = False, init: bool = False) -> str:  # type: ignore[override]
        """The last lines of what the script printed and the server said of it; ``raw`` changes nothing here."""
        return super().get_logs(num_lines)

    def delete(
        self,
        delete_cache: bool = True,
        delete_image: bool = False,
        delete_volume: bool = True,
        *,
        force: bool = False,
    ) -> None:
        """Stop the service and remove it. Nothing happens where it is gone already, or has been promoted."""
        if _is_there(self.workspace, self.name):
            super().delete(force=force)
        self.state = self.STATE_DELETED

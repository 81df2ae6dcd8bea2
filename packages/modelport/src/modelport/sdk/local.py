"""Services on this machine (azureml-v1 reference, 2.7)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.errors import WebserviceException
from modelport.domain.services import BOTH_CREDENTIALS, LocalDeployment, ServiceState
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.webservice import Webservice
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.prepare_revision import RevisionRequest
from modelport.usecases.reload import models_of, revision_again
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


@dataclass(frozen=True, kw_only=True)
class LocalDeploymentConfiguration:
    """How a service runs on this machine; None leaves the default (or, in an update, what there is)."""

    port: int | None = None
    host: str | None = None
    auth_enabled: bool | None = None
    token_auth_enabled: bool | None = None
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    ssl_enabled: bool | None = None
    ssl_cert_pem_file: str | None = None
    ssl_key_pem_file: str | None = None
    ssl_cname: str | None = None
    workers: int | None = None
    gpu_cores: int | None = None
    error_mode: str | None = None
    limits: Mapping[str, float] | None = None
    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None

    def validate_configuration(self) -> None:
        """Raises WebserviceException, with one line for each violation."""
        wrong = []
        if self.port is not None and (not _is_whole(self.port) or not 0 <= self.port <= 65535):
            wrong.append(f"Invalid configuration, port must be an integer in range [1, 65535]; it is {self.port!r}.")
        if self.workers is not None and (not _is_whole(self.workers) or self.workers < 1):
            wrong.append(f"Invalid configuration, workers must be a positive integer; it is {self.workers!r}.")
        if self.auth_enabled and self.token_auth_enabled:
            wrong.append(BOTH_CREDENTIALS)
        if bool(self.ssl_cert_pem_file) != bool(self.ssl_key_pem_file):
            wrong.append("Invalid configuration, ssl_cert_pem_file and ssl_key_pem_file must be provided together.")
        if self.ssl_enabled and not (self.ssl_cert_pem_file and self.ssl_key_pem_file and self.ssl_cname):
            wrong.append(
                "Invalid configuration, ssl_enabled needs ssl_cert_pem_file, ssl_key_pem_file and ssl_cname too."
            )
        if wrong:
            raise WebserviceException("\n".join(wrong))

    def to_deployment(self) -> LocalDeployment:
        """The part that a target needs."""
        return LocalDeployment(
            port=self.port or None,
            host=self.host,
            auth_enabled=self.auth_enabled,
            token_auth_enabled=self.token_auth_enabled,
            ssl_enabled=self.ssl_enabled,
            ssl_cert_pem_file=_absolute(self.ssl_cert_pem_file),
            ssl_key_pem_file=_absolute(self.ssl_key_pem_file),
            ssl_cname=self.ssl_cname,
            workers=self.workers,
            gpu_cores=self.gpu_cores,
            error_mode=self.error_mode,
            limits=dict(self.limits or {}),
        )


def _absolute(path: str | None) -> str | None:
    return str(Path(path).expanduser().absolute()) if path else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class LocalWebservice(Webservice):
    """A service on this machine: its own processes, which outlive the program that deployed it."""

    compute_type: ClassVar[str] = "Local"

    NETWORK_NAME = "azureml-local"
    STATE_DEPLOYING = ServiceState.DEPLOYING.value
    STATE_RUNNING = ServiceState.RUNNING.value
    STATE_FAILED = ServiceState.FAILED.value
    STATE_DELETED = ServiceState.DELETED.value
    STATE_UNKNOWN = ServiceState.UNKNOWN.value

    def __init__(self, workspace: Workspace, name: str, must_exist: bool = True) -> None:
        """Raises WebserviceException (``WebserviceNotFound``) where there is none, unless ``must_exist`` is False."""
        if must_exist or workspace.registry.service(name) is not None:
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
        if must_exist or self.workspace.registry.service(self.name) is not None:
            super().update_deployment_state()
        else:
            self._take_nothing()

    def serialize(self) -> dict[str, Any]:
        """As of every service; where there is none, the keys of v1 with nothing in them."""
        if self.state != self.STATE_UNKNOWN:
            return super().serialize()
        own = {"name": self.name, "state": self.state, "computeType": self.compute_type}
        return dict.fromkeys(_V1_KEYS) | own | {"workspaceName": self.workspace.name, "tags": {}, "properties": {}}

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
        gpu_cores: int | None = None,
        error_mode: str | None = None,
        limits: Mapping[str, float] | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LocalDeploymentConfiguration:
        """A configuration for a service on this machine. Without a port a free one is taken.

        ``host``: the address to listen on, 127.0.0.1 by default. ``error_mode``: ``cloud``, ``container`` or ``json``.
        ``limits``: see docs/settings.md. Certificate and key are copied; given to ``update``, new ones are taken over
        without a restart. Raises WebserviceException for a port outside 1 to 65535, for keys and tokens at once, and
        for ``ssl_enabled`` without certificate, key and name.
        """
        configuration = LocalDeploymentConfiguration(
            port=port,
            host=host,
            auth_enabled=auth_enabled,
            token_auth_enabled=token_auth_enabled,
            primary_key=primary_key,
            secondary_key=secondary_key,
            ssl_enabled=ssl_enabled,
            ssl_cert_pem_file=ssl_cert_pem_file,
            ssl_key_pem_file=ssl_key_pem_file,
            ssl_cname=ssl_cname,
            workers=workers,
            gpu_cores=gpu_cores,
            error_mode=error_mode,
            limits=limits,
            description=description,
            tags=tags,
            properties=properties,
        )
        configuration.validate_configuration()
        return configuration

    def update(
        self,
        models: Sequence[Model | str] | None = None,
        image_config: InferenceConfig | None = None,
        deployment_config: LocalDeploymentConfiguration | None = None,
        wait: bool = False,
        inference_config: InferenceConfig | None = None,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Change the service without dropping a request; what is not given stays.

        A new revision starts beside the old one and takes over when its ``init()`` has returned. Raises
        DeploymentFailed where it does not come up: the old one goes on. The second positional argument may be an
        InferenceConfig, as in v1's documents.
        """
        inference = inference_config or image_config
        if deployment_config is not None:
            deployment_config.validate_configuration()
        self._update(
            ServiceChange(
                revision=self._new_revision(models, inference) if models is not None or inference is not None else None,
                deployment=None if deployment_config is None else deployment_config.to_deployment(),
                primary_key=None if deployment_config is None else deployment_config.primary_key,
                secondary_key=None if deployment_config is None else deployment_config.secondary_key,
                description=description,
                tags=tags,
                properties=properties,
            )
        )

    def _new_revision(self, models: Sequence[Model | str] | None, inference: InferenceConfig | None) -> RevisionRequest:
        context = self.workspace.context
        ids = None if models is None else [model if isinstance(model, str) else model.id for model in models]
        found = None if ids is None else [find_model_by_id(context, model_id) for model_id in ids]
        active = context.service(self.name).active
        if inference is None:
            return revision_again(context, active, models=found)
        return RevisionRequest(
            models=models_of(context, active) if found is None else found,
            inference=inference.validate_configuration(),
            environment=inference.environment_definition(),
        )

    def get_logs(self, num_lines: int = 5000, raw: bool = False, init: bool = False) -> str:  # type: ignore[override]
        """The last lines of what the script printed and the server said of it; ``raw`` changes nothing here."""
        return super().get_logs(num_lines)

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Stop the service and remove it. Nothing happens where it is gone already."""
        super().delete()

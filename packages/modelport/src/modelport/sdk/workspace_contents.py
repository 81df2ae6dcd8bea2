"""What is in a workspace, as dictionaries by name (azureml-v1 reference, 2.1): the collection properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.domain.models import ModelFilter
from modelport.domain.services import ServiceFilter
from modelport.sdk.compute import ComputeTarget
from modelport.sdk.environment import Environment
from modelport.sdk.model import Model
from modelport.sdk.v1.model import Model as V1Model
from modelport.sdk.webservice import Webservice
from modelport.sdk.workspace_runs import WorkspaceRuns

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.workspace import Workspace


class WorkspaceContents(WorkspaceRuns):
    """The collections of ``Workspace``."""

    @property
    def models(self: Workspace) -> dict[str, Model]:  # type: ignore[misc]
        """The newest version of each model, by name."""
        found = self.registry.models(ModelFilter(latest=True))
        return {version.name: Model._from_version(self, version) for version in found}

    def model_versions(self: Workspace) -> dict[str, Model]:  # type: ignore[misc]
        """Every version of every model, by id."""
        found = self.registry.models(ModelFilter())
        return {version.id: Model._from_version(self, version) for version in found}

    @property
    def environments(self: Workspace) -> dict[str, Environment]:  # type: ignore[misc]
        """The newest version of each environment, by name."""
        return Environment.list(self)

    # --- what Webservice's ways to deploy need: it cannot import Model, whose module needs it ---

    def _register(self: Workspace, path: str, name: str) -> Model:  # type: ignore[misc]
        return Model.register(self, path, name)

    def _deploy(  # type: ignore[misc]
        self: Workspace,
        name: str,
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None,
        deployment_config: Any,
        deployment_target: Any,
        overwrite: bool,
    ) -> Webservice:
        return V1Model.deploy(
            self, name, models, inference_config, deployment_config, deployment_target, overwrite=overwrite
        )

    @property
    def webservices(self: Workspace) -> dict[str, Webservice]:  # type: ignore[misc]
        """The services, by name."""
        found = self.registry.services(ServiceFilter())
        return {service.name: Webservice._from_service(self, service) for service in found}

    @property
    def compute_targets(self: Workspace) -> dict[str, ComputeTarget]:  # type: ignore[misc]
        """The compute targets, by name."""
        return {target.name: target for target in ComputeTarget.list(self)}

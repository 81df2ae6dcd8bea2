"""What is in a workspace, as dictionaries by name (azureml-v1 reference, 2.1): the collection properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.domain.errors import UserErrorException
from modelport.domain.models import ModelFilter
from modelport.domain.services import Service, ServiceFilter
from modelport.sdk.compute import ComputeTarget
from modelport.sdk.environment import Environment
from modelport.sdk.images import Image
from modelport.sdk.model import Model
from modelport.sdk.service_listing import readable_services
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
    def images(self: Workspace) -> dict[str, Image]:  # type: ignore[misc]
        """The newest version of each image, by name."""
        return {image.name: image for image in reversed(Image.list(self))}

    def webservice(self: Workspace, service: Service) -> Webservice:  # type: ignore[misc]
        """The service as an object of the class that fits its target."""
        return Webservice._from_service(self, service)

    @property
    def webservices(self: Workspace) -> dict[str, Webservice]:  # type: ignore[misc]
        """The services, by name; without those whose rows are damaged, which is printed."""
        found = readable_services(self, ServiceFilter())
        return {service.name: Webservice._from_service(self, service) for service in found}

    @property
    def compute_targets(self: Workspace) -> dict[str, ComputeTarget]:  # type: ignore[misc]
        """The compute targets, by name."""
        return {target.name: target for target in ComputeTarget.list(self)}

    def get_default_compute_target(self: Workspace, type: str) -> ComputeTarget | None:  # type: ignore[misc]
        """The target that has the name of the default one for ``CPU`` or ``GPU``; None where there is none.

        Raises UserErrorException for another type.
        """
        defaults = {"CPU": self.DEFAULT_CPU_CLUSTER_NAME, "GPU": self.DEFAULT_GPU_CLUSTER_NAME}
        if str(type).upper() not in defaults:
            raise UserErrorException(f"There is no default compute target for {type!r}.", hint="Ask for CPU or GPU.")
        return self.compute_targets.get(defaults[str(type).upper()])

    def _make_default_targets(self: Workspace, *, cpu: Any, gpu: Any) -> None:  # type: ignore[misc]
        for name, configuration in ((self.DEFAULT_CPU_CLUSTER_NAME, cpu), (self.DEFAULT_GPU_CLUSTER_NAME, gpu)):
            if configuration is not None:
                ComputeTarget.create(self, name, configuration)

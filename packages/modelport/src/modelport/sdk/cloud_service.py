"""What services have in common that were meant for a cloud, on this machine (azureml-v1 reference, 2.6, 4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.deployments import Placement
from modelport.domain.errors import DeploymentFailed
from modelport.domain.services import Service, ServiceState, shown_state
from modelport.sdk.cloud_failures import describe_failure, error_of
from modelport.sdk.deployment_configuration import DeploymentConfiguration, texts
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.new_revision import new_revision
from modelport.sdk.service_parts import ContainerResourceRequirements
from modelport.sdk.webservice import Webservice
from modelport.targets.interface import Observation
from modelport.usecases.deployment_notes import deployment_notes
from modelport.usecases.update import ServiceChange
from modelport.usecases.wait import failure_now

if TYPE_CHECKING:
    from modelport.sdk.images import Image
    from modelport.sdk.model import Model


class CloudWebservice(Webservice):
    """A service with the states, the settings and the answers that one in a cloud had; it runs on this machine, which
    its log says."""

    failure_code: ClassVar[str] = ""
    """How v1's cloud called a deployment that failed."""
    error: dict[str, Any] | None  # type: ignore[assignment]  # v1's clouds told of errors as JSON, and Docker by a text

    def _take(self, service: Service, observation: Observation) -> None:
        super()._take(service, observation)
        context, deployment = self.workspace.context, service.deployment
        self.state = shown_state(observation.state, service.compute_type)
        failure = failure_now(context, service, observation)
        self.error = None if failure is None else error_of(failure, code=self.failure_code)
        self.enable_app_insights = bool(deployment.app_insights_enabled)
        self.container_resource_requirements = ContainerResourceRequirements.of(deployment)

    @property
    def _placement(self) -> Placement:
        return self._service.deployment.placement or Placement()

    def get_logs(self, num_lines: int = 5000, init: bool = False) -> str:
        """The last lines of what the script printed and the server said of it; above them, where the whole of it is
        shown, where the service runs and what has no effect there. ``init``: that alone."""
        notes = [f"modelport: {note}" for note in deployment_notes(self._service)]
        if init:
            return "\n".join(notes[-num_lines:]) + "\n"
        log = super().get_logs(num_lines)
        room = num_lines - len(log.splitlines())
        return "".join(f"{note}\n" for note in notes[: max(0, room)]) + log

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Return when the service is ``Healthy``.

        Raises WebserviceException within a second of a failure, with the state, and the error as the cloud's JSON had
        it; or at the timeout.
        """
        try:
            super().wait_for_deployment(show_output, timeout_sec)
        except DeploymentFailed as error:
            self.update_deployment_state()
            error.message = describe_failure(
                error.failure,
                code=self.failure_code,
                state=self.state,
                operation=f"{self.workspace.name}/{self.name}/{self.revision}",
            )
            raise

    def serialize(self) -> dict[str, Any]:
        """The service as a dictionary with the keys that v1 had, every default stated."""
        return {
            **super().serialize(),
            "containerResourceRequirements": self.container_resource_requirements.serialize(),
        }

    # --- changing it --------------------------------------------------------------------------------------------------

    def _apply(
        self,
        configuration: DeploymentConfiguration,
        *,
        models: Sequence[Model | str] | None,
        inference_config: InferenceConfig | None,
        image: Image | None,
    ) -> None:
        """Change what the configuration, the models, the code or the image say; nothing is WebserviceException."""
        self._note(configuration)
        deployment, present = configuration.to_deployment(), self._service.active
        change = ServiceChange(
            revision=new_revision(self.workspace.context, present, models, inference_config, image),
            deployment=deployment if deployment.asks_for_anything else None,
            description=configuration.description,
            tags=texts(configuration.tags),
            properties=texts(configuration.properties, what="properties"),
        )
        self._update(change)

    def _note(self, configuration: DeploymentConfiguration) -> None:
        for note in configuration.notes():
            self.workspace.context.progress.step(note)

    def delete(self, *, force: bool = False) -> None:
        """Stop the service and remove it. Nothing happens where it is gone already."""
        super().delete(force=force)
        self.state = shown_state(ServiceState.DELETED, self.compute_type)

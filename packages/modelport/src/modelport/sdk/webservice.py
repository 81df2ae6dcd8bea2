"""Services, whatever their target (azureml-v1 reference, 2.6)."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.errors import WebserviceException
from modelport.domain.models import Condition
from modelport.domain.services import Service, ServiceFilter, ServiceState
from modelport.domain.tokens import AccessToken
from modelport.sdk.dots import Dots
from modelport.sdk.labels import label_keys, labels
from modelport.sdk.legacy_deployment import LegacyDeployment
from modelport.sdk.service_listing import readable_services
from modelport.sdk.service_snapshot import ServiceSnapshot
from modelport.targets.interface import Observation
from modelport.usecases import keys, run_service, tokens
from modelport.usecases.change_model import merged_properties
from modelport.usecases.reload import reload
from modelport.usecases.roll_back import roll_back
from modelport.usecases.update import ServiceChange, update
from modelport.usecases.wait import observe, wait_for_deployment

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


_CLASSES = {
    "LOCAL": "modelport.sdk.local:LocalWebservice",
    "ACI": "modelport.sdk.aci:AciWebservice",
    "AKS": "modelport.sdk.aks:AksWebservice",
    "AKSENDPOINT": "modelport.sdk.aks_endpoint:AksEndpoint",
}
"""Each imports this module, and is loaded when a service of its kind is met."""


class Webservice(ServiceSnapshot, LegacyDeployment):
    """A service. Attributes are a snapshot; ``update_deployment_state()`` takes a new one.

    ``Webservice(workspace, name)`` returns an object of the class that fits the service's target.
    """

    retries: ClassVar[bool] = True
    """Whether ``run`` tries again where the service answers with 500 to 504, as v1's services in a cloud did."""

    def __new__(cls, workspace: Workspace, name: str, **options: Any) -> Webservice:
        if cls is not Webservice:
            return super().__new__(cls)
        return super().__new__(cls._class_of(workspace.context.service(name)))

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises WebserviceException (``WebserviceNotFound``) where there is no such service."""
        self.workspace = workspace
        self.name = name
        service, observation = observe(workspace.context, name)
        if service.compute_type.upper() != self.compute_type.upper():
            raise WebserviceException(
                f"WebserviceNotFound: the service {name!r} is of type {service.compute_type}, not {self.compute_type}.",
                hint="Webservice(workspace, name) returns an object of the right class.",
            )
        self._take(service, observation)

    @staticmethod
    def _class_of(service: Service) -> type[Webservice]:
        place = _CLASSES.get(service.compute_type.upper())
        if place is None:
            return UnknownWebservice
        module, _, name = place.partition(":")
        found: type[Webservice] = getattr(import_module(module), name)
        return found

    @staticmethod
    def _from_service(workspace: Workspace, service: Service) -> Webservice:
        return Webservice._class_of(service)(workspace, service.name)

    def update_deployment_state(self) -> None:
        """Take a new snapshot. Raises WebserviceException where the service is gone."""
        self._take(*observe(self.workspace.context, self.name))

    # --- using it -----------------------------------------------------------------------------------------------------

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Return when the service takes requests.

        Raises DeploymentFailed (a WebserviceException) within a second of a failure, with the phase, the traceback and
        one thing to try; WebserviceException at the timeout.
        """
        try:
            with Dots(shown=show_output, operation=f"{self.compute_type} service creation operation") as dots:
                wait_for_deployment(self.workspace.context, self.name, timeout_s=timeout_sec, tick=dots.tick)
        finally:
            if self.workspace.registry.service(self.name) is not None:
                self.update_deployment_state()

    def run(self, input_data: str | bytes) -> Any:
        """POST the text, as it is, and return the parsed JSON of the answer.

        As in v1, an answer of 500, 502, 503 or 504 is tried again: up to four attempts, with pauses of 3 to 28 seconds
        together. (Services on this machine under v1's local type are asked once.) Raises WebserviceException with
        ``Response Code:``, ``Headers:`` and ``Content:`` lines for any other answer.
        """
        from modelport.usecases.score import score  # noqa: PLC0415 - the HTTP client takes long to load
        from modelport.usecases.score_again import score_again  # noqa: PLC0415 - as above

        ask = score_again if self.retries else score
        return ask(self.workspace.context, self.name, input_data)

    def get_logs(self, num_lines: int = 5000, init: bool = False) -> str:
        """The last lines of what the script printed and the server said of it; with ``init``, that nothing runs before
        it."""
        if init:
            return "There is no init container: the models lie in the service's folder before it starts.\n"
        return self.workspace.context.target(self._service).logs(self._service, lines=num_lines)

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key. Raises AuthenticationOff, a WebserviceException and a
        NotImplementedError, where key authentication is off."""
        current = keys.get_keys(self.workspace.context.service(self.name))
        return current.primary, current.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Replace the ``Primary`` or the ``Secondary`` key, by ``set_key`` or a new one; the other goes on working."""
        keys.regenerate_key(self.workspace.context, self.name, key, value=set_key)

    def get_token(self) -> tuple[str, dt.datetime]:
        """A new access token, and the local time from which on the next one should be asked for.

        Raises AuthenticationOff, a WebserviceException and a NotImplementedError, where token authentication is off.
        """
        token = self.get_access_token()
        return token.access_token, token.refresh_after

    def get_access_token(self) -> AccessToken:
        """A new access token with its times. Raises AuthenticationOff where token authentication is off."""
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

    def restart(self) -> None:
        """End the service and start it again as it is, by this version of Modelport; connections are refused meanwhile.

        Raises WebserviceException where it is stopped.
        """
        self._changed(lambda: run_service.restart(self.workspace.context, self.name))

    def update(self, *args: Any, **options: Any) -> None:
        """Change the service without dropping a request; what can be given is the target's (see its class)."""
        raise NotImplementedError(f"A {type(self).__name__} cannot be updated.")

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags, or give them new values."""
        self._update(ServiceChange(tags={**self._service.tags, **labels(tags)}))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        gone = label_keys(tags)
        self._update(ServiceChange(tags={key: value for key, value in self._service.tags.items() if key not in gone}))

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Add properties. Raises WebserviceException for one that is there with another value."""
        added = labels(properties, what="properties")
        self._update(ServiceChange(properties=merged_properties(self._service.properties, added)))

    def delete(self, *, force: bool = False) -> None:
        """Stop the service and remove it. Nothing happens where it is gone already.

        With ``force`` (which v1 had not), also where its container engine or cluster is gone for good: what may be left
        there, and how to remove it, is in the output then.
        """
        context = self.workspace.context
        if self.workspace.registry.service(self.name) is not None:
            for line in run_service.delete(context, self.name, force=force):
                context.progress.step(line)
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
        """The services that fit, by name; without those whose rows are damaged, which is printed. ``image_digest`` is
        the digest of the bundle that a service runs."""
        wanted = ServiceFilter(
            compute_type=compute_type,
            model_name=model_name,
            model_id=model_id,
            tags=_conditions(tags),
            properties=_conditions(properties),
        )
        found = readable_services(workspace, wanted)
        return [
            Webservice._from_service(workspace, service)
            for service in found
            if _runs_image(service, image_name, image_id, image_digest)
        ]

    @classmethod
    def deserialize(cls, workspace: Workspace, payload: Mapping[str, Any]) -> Webservice:
        """The service that the dictionary names, as it is now. Raises WebserviceException where there is none."""
        if not payload.get("name"):
            raise WebserviceException(
                "Invalid service payload: it has no name.", hint="Give what serialize() returned."
            )
        return cls(workspace, str(payload["name"]))


class UnknownWebservice(Webservice):
    """A service of a target that this Modelport does not have: it is shown, and cannot be used."""

    compute_type: ClassVar[str] = "Unknown"

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.update_deployment_state()

    def update_deployment_state(self) -> None:
        """Take what the workspace knows; nobody can be asked for more."""
        self._take(self.workspace.context.service(self.name), Observation(state=ServiceState.UNKNOWN))


def _runs_image(service: Service, name: str | None, image_id: str | None, digest: str | None) -> bool:
    active = service.active
    return (
        (name is None or (active.image_id or "").rpartition(":")[0] == name)
        and image_id in (None, active.image_id)
        and digest in (None, active.bundle_digest)
    )


def _conditions(given: Sequence[Condition] | None) -> tuple[str | tuple[str, ...], ...]:
    return tuple(condition if isinstance(condition, str) else tuple(condition) for condition in given or ())

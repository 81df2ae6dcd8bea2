"""Compute targets, whatever their type (azureml-v1 reference, 2.11).

None of them is made anywhere: a target is a name of the workspace, and what is sent to it runs on this machine.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from modelport.domain.compute import Compute
from modelport.domain.errors import ComputeTargetException
from modelport.sdk.console import Console
from modelport.usecases import compute_targets
from modelport.usecases.compute_targets import TlsRequest

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


@dataclass(kw_only=True)
class ComputeTargetConfiguration:
    """How a target is to be made, or attached. ``settings`` has the parameters by their names, None for what was not
    given: there are no defaults before it is made."""

    compute_class: type[ComputeTarget]
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    is_attached: bool = False
    tags: Mapping[str, str] | None = None
    description: str | None = None

    def __getattr__(self, name: str) -> Any:
        """A parameter by its name."""
        settings = self.__dict__.get("settings", {})
        if name in settings:
            return settings[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def validate_configuration(self) -> None:
        """Raises ComputeTargetException for parameters that exclude or need each other."""

    def connect(self) -> str | None:
        """What the target is connected to, in words; None: to nothing. Of clusters only."""
        return None

    def tls_request(self) -> TlsRequest | None:
        """What services on the target are to show: of clusters only."""
        return None


class ComputeTarget:
    """A target, as it was when this object was made; ``refresh_state()`` takes a new snapshot.

    ``ComputeTarget(workspace, name)`` returns an object of the class that fits its type.
    """

    _compute_type: ClassVar[str] = ""
    _instead: ClassVar[str] = "what is sent to it runs on this machine"
    """What the target does that it is not."""
    _how_to_attach: ClassVar[str] = ""
    """What to do to have it be what it is not."""
    _defaults: ClassVar[Mapping[str, Any]] = {}
    """Of the service that v1 had, for what was not given."""
    _classes: ClassVar[dict[str, type[ComputeTarget]]] = {}

    def __init_subclass__(cls) -> None:
        if cls._compute_type:
            ComputeTarget._classes.setdefault(cls._compute_type, cls)

    def __new__(cls, workspace: Workspace, name: str) -> Self:
        if cls is not ComputeTarget:
            return super().__new__(cls)
        kept = compute_targets.find_compute(workspace.context, name)
        found: Any = super().__new__(cls._classes.get(kept.type, ComputeTarget))
        return found  # type: ignore[no-any-return]  # of a class that fits

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises ComputeTargetException where there is none, or it is of another type."""
        self.workspace = workspace
        self.name = name
        self._take(compute_targets.find_compute(workspace.context, name))

    def _take(self, compute: Compute) -> None:
        if self._compute_type and compute.type != self._compute_type:
            raise ComputeTargetException(
                f"The compute target {self.name!r} is of type {compute.type}, not {self._compute_type}.",
                hint="ComputeTarget(workspace, name) returns an object of the right class.",
            )
        self._compute = compute
        self.type = compute.type
        self.provisioning_state = compute.state
        self.provisioning_errors: builtins.list[dict[str, Any]] | None = None
        self.tags = dict(compute.tags)
        self.description = compute.description
        self.is_attached = compute.is_attached
        self.location = self._setting("location") or self.workspace.location
        self.cluster_location = self.location
        self.cluster_resource_id = self._setting("resource_id")
        self.id = (
            f"/subscriptions/{self.workspace.subscription_id}/resourceGroups/{self.workspace.resource_group}/providers/"
            f"Microsoft.MachineLearningServices/workspaces/{self.workspace.name}/computes/{self.name}"
        )

    def _setting(self, name: str) -> Any:
        """A parameter that the target was made with, or the default of v1's service."""
        return self._compute.settings.get(name, self._defaults.get(name))

    # --- finding and making -------------------------------------------------------------------------------------------

    @staticmethod
    def create(
        workspace: Workspace, name: str, provisioning_configuration: ComputeTargetConfiguration
    ) -> ComputeTarget:
        """Keep the name and the configuration; says what the target is instead. One of that name and type gets the new
        configuration, unless a cluster is attached by it: scripts that make theirs run in that one.

        Raises ComputeTargetException for a name that cannot be, or that a target of another type has.
        """
        return _attached(workspace, name, provisioning_configuration) or _kept(
            workspace, name, provisioning_configuration
        )

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: ComputeTargetConfiguration) -> ComputeTarget:
        """As ``create``, for a cluster or a machine that is there already. Only a cluster that a context of the
        kubeconfig leads to is contacted. Raises ComputeTargetException where that does not answer."""
        return _kept(workspace, name, attach_configuration)

    @staticmethod
    def list(workspace: Workspace) -> builtins.list[ComputeTarget]:
        """All targets of the workspace, by name."""
        return [ComputeTarget(workspace, each.name) for each in compute_targets.list_compute(workspace.context)]

    @staticmethod
    def provisioning_configuration(**settings: Any) -> ComputeTargetConfiguration:
        """Of the classes below."""
        raise NotImplementedError("Use the provisioning_configuration of a class of targets: AksCompute, AmlCompute, …")

    # --- its state ----------------------------------------------------------------------------------------------------

    def refresh_state(self) -> None:
        """Take a new snapshot. Raises ComputeTargetException where the target is gone."""
        self._take(compute_targets.find_compute(self.workspace.context, self.name))

    def get_status(self) -> Any:
        """Its provisioning state."""
        self.refresh_state()
        return self.provisioning_state

    def wait_for_completion(self, show_output: bool = False, is_delete_operation: bool = False) -> None:
        """Nothing is to be waited for."""
        if not is_delete_operation:
            self.refresh_state()
        if show_output:
            verb = "Deleting" if is_delete_operation else "Provisioning"
            Console().step(f'Succeeded\n{verb} operation finished, operation "Succeeded"')

    def serialize(self) -> dict[str, Any]:
        """The target as a dictionary: what v1 and we know of it, and what it was made with."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "computeType": self.type,
            "location": self.location,
            "tags": self.tags,
            "description": self.description,
            "provisioningState": self.provisioning_state,
            "provisioningErrors": self.provisioning_errors,
            "isAttachedCompute": self.is_attached,
            "resourceId": self.cluster_resource_id,
            "properties": {**self._defaults, **self._compute.settings},
        }

    # --- removing it --------------------------------------------------------------------------------------------------

    def delete(self) -> None:
        """Delete the target. Raises ComputeTargetException, which names them, while services are deployed to it."""
        compute_targets.delete_compute(self.workspace.context, self.name)
        self.provisioning_state = "Deleting"

    def detach(self) -> None:
        """Forget the target. Services that were deployed to it are named, and go on."""
        compute_targets.detach_compute(self.workspace.context, self.name)
        self.provisioning_state = "Detaching"

    def _change(self, change: Callable[[], Compute]) -> None:
        self._take(change())

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(workspace={self.workspace!r}, name={self.name}, type={self.type}, "
            f"provisioning_state={self.provisioning_state}, location={self.location}, tags={self.tags})"
        )


def _attached(workspace: Workspace, name: str, configuration: ComputeTargetConfiguration) -> ComputeTarget | None:
    """The target of that name and type, where it is in a cluster that somebody attached."""
    present = next((one for one in compute_targets.list_compute(workspace.context) if one.name == name), None)
    kind = getattr(configuration, "compute_class", None)
    if present is None or kind is None or present.type != kind._compute_type or not present.settings.get("context"):
        return None
    workspace.context.progress.step(
        f"{kind.__name__} {name!r}: it is attached to the cluster of the context {present.settings['context']!r}, and "
        "stays so. Nothing is made, and what it was to be made with has no effect"
    )
    found: ComputeTarget = kind(workspace, name)
    return found


def _kept(workspace: Workspace, name: str, configuration: ComputeTargetConfiguration) -> ComputeTarget:
    if not isinstance(configuration, ComputeTargetConfiguration):
        raise ComputeTargetException(
            f"The configuration of a compute target is of type {type(configuration).__name__}.",
            hint="Make one: AksCompute.provisioning_configuration(), AmlCompute.provisioning_configuration(…), …",
        )
    configuration.validate_configuration()
    kind, context = configuration.compute_class, workspace.context
    cluster = configuration.connect()
    compute_targets.keep_compute(
        context,
        name,
        kind._compute_type,
        configuration.settings,
        is_attached=configuration.is_attached,
        tls=configuration.tls_request(),
        tags=configuration.tags,
        description=configuration.description,
    )
    if cluster is not None:
        context.progress.step(f"{kind.__name__} {name!r}: services that are deployed to it run in {cluster}")
    else:
        what = "attached" if configuration.is_attached else "made"
        note = f"{kind.__name__} {name!r}: nothing is {what}; the name is kept, and {kind._instead}"
        context.progress.step(f"{note}{kind._how_to_attach}")
    return kind(workspace, name)

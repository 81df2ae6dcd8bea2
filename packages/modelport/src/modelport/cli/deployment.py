"""What a deployment configuration file and the flags above it ask for, as the SDK takes it for each kind of target."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from modelport.cli.deployment_file import DeploymentFile, key_of, read_deployment, without_none
from modelport.cli.session import Session
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.aks_configuration import AksEndpointDeploymentConfiguration, AksServiceDeploymentConfiguration
from modelport.sdk.deployment_configuration import DeploymentConfiguration
from modelport.sdk.local_configuration import LIMITS_OF_V1, LocalDeploymentConfiguration
from modelport.sdk.webservice import Webservice

_CONFIGURATIONS: dict[ComputeType, type[Any]] = {
    ComputeType.LOCAL: LocalDeploymentConfiguration,
    ComputeType.ACI: AciServiceDeploymentConfiguration,
    ComputeType.AKS: AksServiceDeploymentConfiguration,
    ComputeType.AKS_ENDPOINT: AksEndpointDeploymentConfiguration,
}
_LABELS = ("description", "tags", "properties")
_TABLES = ("limits", "telemetry")
_FLAGS = {"limits": "--limit"}


@dataclass(frozen=True)
class Asked:
    """What is asked for, in the words of ``deploy_configuration``."""

    flags: Mapping[str, Any]
    path: Path | None = None
    file: DeploymentFile = field(default_factory=lambda: DeploymentFile({}))

    def including(self, flags: Mapping[str, Any]) -> Asked:
        """The same with further flags."""
        return replace(self, flags={**self.flags, **without_none(flags)})

    @property
    def labels(self) -> dict[str, Any]:
        """Description, tags and properties of the file."""
        return {name: self.file.settings[name] for name in _LABELS if name in self.file.settings}

    @property
    def asks_for_anything(self) -> bool:
        """Whether anything but labels is asked for."""
        return bool(self.flags) or any(name not in _LABELS for name in self.file.settings)

    def fitting(self, names: Set[str], kind: str, session: Session) -> dict[str, Any]:
        """What a service of that kind has names for, flags over file.

        Keys of the file that belong to another kind are said to be without effect; flags that do are refused with
        UserErrorException: a deployment that silently runs without its autoscaler is worse than none.
        """
        foreign = [_flag(name) for name in self.flags if name not in names]
        if foreign:
            raise UserErrorException(
                f"{', '.join(foreign)} cannot be given for a service of type {kind}.",
                hint="Leave it out; or say which kind of service is meant: --compute-type local, aci, aks.",
            )
        for name in self.file.settings:
            if name not in names and name not in _LABELS:
                session.note(f"Note: {self.path} has the key {key_of(name)!r}, which has no effect for {kind}.")
        taken = {name: value for name, value in self.file.settings.items() if name in names}
        tables = {
            name: {**taken.get(name, {}), **self.flags[name]} for name in _TABLES if self.flags.get(name) is not None
        }
        return {**taken, **self.flags, **tables}

    def configuration(self, kind: ComputeType, session: Session) -> DeploymentConfiguration:
        """The configuration of a service of that kind."""
        if kind is ComputeType.LOCAL:
            return self._local(session)
        names = {each.name for each in fields(_CONFIGURATIONS[kind])}
        configuration: DeploymentConfiguration = _CONFIGURATIONS[kind](**self.fitting(names, kind.value, session))
        return configuration

    def _local(self, session: Session) -> LocalDeploymentConfiguration:
        """Limits that v1 had names for are limits as others."""
        names = {each.name for each in fields(LocalDeploymentConfiguration)}
        given = self.fitting(names, ComputeType.LOCAL.value, session)
        of_v1 = {limit: given.pop(name) for name, limit in LIMITS_OF_V1.items() if name in given}
        limits = {**given.pop("limits", {}), **of_v1}
        return LocalDeploymentConfiguration(**given, limits=limits or None)

    def changes(self, service: Webservice, session: Session) -> dict[str, Any]:
        """The arguments of ``service.update`` that say it, without labels."""
        kind = ComputeType(service.compute_type)
        if self.file.compute_type not in (None, kind):
            raise UserErrorException(
                f"{self.path} is for a service of type {self.file.compute_type}, and {service.name!r} is of type "
                f"{kind.value}.",
                hint="A service of another kind is a new deployment: model deploy --overwrite.",
            )
        if not self.asks_for_anything:
            return {}
        if kind is ComputeType.LOCAL:
            return {"deployment_config": self._local(session)}
        given = self.fitting(set(inspect.signature(type(service).update).parameters), kind.value, session)
        return {name: value for name, value in given.items() if name not in _LABELS}


def asked_for(session: Session, path: Path | None, flags: Mapping[str, Any]) -> Asked:
    """The file, if there is one, with the flags; keys that nobody knows are said to be without effect."""
    given = without_none(flags)
    if path is None:
        return Asked(given)
    read = read_deployment(path)
    for key in read.unknown:
        session.note(f"Note: {path} has the key {key!r}, which is not known and has no effect.")
    return Asked(given, path, read)


def _flag(setting: str) -> str:
    return _FLAGS.get(setting, f"--{setting.replace('_', '-')}")

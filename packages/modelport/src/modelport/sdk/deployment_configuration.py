"""What all deployment configurations have in common: each class says for which kind of target it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Protocol

from modelport.domain.deployments import ComputeType, Deployment
from modelport.domain.errors import WebserviceException


class DeploymentConfiguration(Protocol):
    """How a service is to run, as scripts ask for it. None leaves the default or, in an update, what there is."""

    @property
    def compute_type(self) -> ComputeType: ...
    @property
    def primary_key(self) -> str | None: ...
    @property
    def secondary_key(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...
    @property
    def tags(self) -> Mapping[str, str] | None: ...
    @property
    def properties(self) -> Mapping[str, str] | None: ...

    def validate_configuration(self) -> None:
        """Raises WebserviceException, with one line for each violation."""

    def to_deployment(self) -> Deployment:
        """The part that a target needs: what was asked for, and nothing else."""

    def notes(self) -> list[str]:
        """What somebody who asks for this should know."""


def refuse(violations: Iterable[str]) -> None:
    """Raise WebserviceException, with one line for each violation, where there is any."""
    wrong = [f"Invalid configuration, {violation}" for violation in violations]
    if wrong:
        raise WebserviceException("\n".join(wrong))


def not_positive(values: Mapping[str, object], *, whole: bool = False) -> Iterator[str]:
    """What is wrong with values that must be positive. Zero counts as not given, as in v1."""
    for name, value in values.items():
        if value is None or value is False or value == 0:
            continue
        if isinstance(value, bool) or not isinstance(value, Real):
            yield f"{name} must be a number; it is {value!r}."
        elif value < 0:
            yield f"{name} must be positive; it is {value!r}."
        elif whole and value % 1:
            yield f"{name} must be a whole number; it is {value!r}."


def both_or_none(**values: object) -> Iterator[str]:
    """What is wrong with values that must come together."""
    given = [name for name, value in values.items() if value]
    if given and len(given) < len(values):
        yield f"{', '.join(values)} must be provided together."


def texts(given: Mapping[str, object] | None) -> dict[str, str] | None:
    """Tags or properties as they are kept."""
    return None if given is None else {str(key): str(value) for key, value in given.items()}

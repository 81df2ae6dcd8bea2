"""What all deployment configurations have in common: each class says for which kind of target it is."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from modelport.domain.deployments import ComputeType, Deployment
from modelport.domain.errors import WebserviceException
from modelport.sdk.labels import labels

_GREATEST = 2**31 - 1
"""v1's services kept such numbers in 32 bits."""


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


_FORMS: Mapping[object, tuple[tuple[type, ...], str]] = {
    "bool | None": ((bool,), "True or False"),
    "str | None": ((str, os.PathLike), "a text"),
}
"""By the annotation of a field: what it may hold, and how that is called."""


def wrong_forms(configuration: Any) -> list[str]:
    """What is wrong with truths and texts that are none: kept as they are, nobody could read the service again.

    Where a path may be given, a ``Path`` may; a key is not shown.
    """
    wrong = []
    for field in dataclasses.fields(configuration):
        value = getattr(configuration, field.name)
        if value is None or field.type not in _FORMS:
            continue
        allowed, name = _FORMS[field.type]
        is_path = isinstance(value, os.PathLike)
        if not isinstance(value, allowed) or (is_path and not field.name.endswith("_file")):
            shown = f"it is {value!r}" if field.repr else f"it is of type {type(value).__name__}"
            wrong.append(f"{field.name} must be {name}; {shown}.")
    return wrong


def not_positive(values: Mapping[str, object], *, whole: bool = False, zero: bool = False) -> Iterator[str]:
    """What is wrong with values that must be positive. With ``zero``, that counts as not given, as in v1's clusters:
    see ``zeros``."""
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield f"{name} must be a number (int or float); it is {value!r}."
        elif value < 0 or (value == 0 and not zero):
            yield f"{name} must be positive; it is {value!r}."
        elif whole and value % 1:
            yield f"{name} must be a whole number; it is {value!r}."
        elif value > _GREATEST:
            yield f"{name} must be at most {_GREATEST}; it is {value!r}."


def zeros(values: Mapping[str, object]) -> list[str]:
    """What to say of zeros that count as not given."""
    return [
        f"{name}=0 counts as not given, as in v1: the default has effect"
        for name, value in values.items()
        if value == 0 and not isinstance(value, bool)
    ]


def both_or_none(**values: object) -> Iterator[str]:
    """What is wrong with values that must come together."""
    given = [name for name, value in values.items() if value]
    if given and len(given) < len(values):
        yield f"{', '.join(values)} must be provided together."


def texts(given: Mapping[str, object] | None, *, what: str = "tags") -> dict[str, str] | None:
    """Tags or properties as they are kept; None where none were given. Raises WebserviceException as ``labels``."""
    return None if given is None else labels(given, what=what)

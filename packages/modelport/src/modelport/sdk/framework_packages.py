"""The packages of frameworks that v1 had helpers for (azureml-v1 reference, 2.5)."""

from __future__ import annotations

from modelport.domain.errors import UserErrorException

_SUFFIX = {"cpu": "", "gpu": "-gpu"}


def framework_package(framework: str, core_type: str, version: str | None) -> tuple[str, tuple[str, ...]]:
    """The requirement (``tensorflow-gpu==1.13.1``), and the packages of the framework whose place it takes.

    Raises UserErrorException where ``core_type`` is neither ``cpu`` nor ``gpu``.
    """
    if core_type not in _SUFFIX:
        raise UserErrorException(f"core_type must be 'cpu' or 'gpu', not {core_type!r}.")
    requirement = framework + _SUFFIX[core_type] + (f"=={version}" if version else "")
    return requirement, tuple(framework + suffix for suffix in _SUFFIX.values())

"""This machine as the target of a run (azureml-v1 reference, 2.11)."""

from __future__ import annotations

from typing import ClassVar


class LocalTarget:
    """What ``compute_target="local"`` means, as an object."""

    name: ClassVar[str] = "local"
    type: ClassVar[str] = "local"

    def __repr__(self) -> str:
        return "LocalTarget()"

"""Images: what will be served, built and locked, under a name and a version (azureml-v1 reference, 2.15)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modelport.domain.environments import EnvironmentKind, Lock
from modelport.domain.services import InferenceConfiguration


class CreationState(StrEnum):
    """How the creation of an image, or of a package, stands."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_final(self) -> bool:
        return self is not CreationState.RUNNING


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """What came of the creation: a bundle, and the locked environment that it runs in."""

    bundle_digest: str
    lock_kind: EnvironmentKind
    lock_digest: str
    python: str
    python_version: str
    environment_name: str
    environment_version: str | None
    environment_variables: Mapping[str, str]

    def lock(self, text: str) -> Lock:
        """The lock, whose text the bundle keeps."""
        return Lock(
            kind=self.lock_kind,
            digest=self.lock_digest,
            text=text,
            python=self.python,
            python_version=self.python_version,
        )


@dataclass(frozen=True, kw_only=True)
class ImageContent:
    """All of an image but its name, version and times: what the workspace keeps as the body of an asset."""

    folder: str
    """Name of the folder below the workspace's ``images``, where the log of the creation is."""
    model_ids: tuple[str, ...] = ()
    inference: InferenceConfiguration
    state: CreationState = CreationState.RUNNING
    error: str | None = None
    built: BuiltImage | None = None
    """None until the creation has succeeded."""
    flavor: str = "WebApiContainer"
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What the configuration said, by its parameters, as far as it decides nothing here."""
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Image:
    """One version of an image. Only its tags, properties and description change once it is made."""

    name: str
    version: int
    content: ImageContent
    created_time: dt.datetime
    updated_time: dt.datetime
    created_by: str

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"

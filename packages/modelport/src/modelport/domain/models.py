"""Models and their versions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Framework:
    """Values of ``model_framework`` (azureml-v1 reference, 2.2); the last three are Modelport's own."""

    CUSTOM = "Custom"
    TENSORFLOW = "TensorFlow"
    SCIKITLEARN = "ScikitLearn"
    ONNX = "Onnx"
    TFKERAS = "TfKeras"
    PYTORCH = "PyTorch"
    MULTI = "Multi"
    LIGHTGBM = "LightGBM"
    XGBOOST = "XGBoost"
    MLFLOW = "MLflow"


@dataclass(frozen=True)
class ResourceConfiguration:
    """What a deployment of a model needs. ``memory_in_gb`` in GiB, ``cpu`` and ``gpu`` in units."""

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None

    def serialize(self) -> dict[str, float | None]:
        """With the keys of v1."""
        return {"cpu": self.cpu, "memoryInGB": self.memory_in_gb, "gpu": self.gpu}

    @classmethod
    def deserialize(cls, payload: Mapping[str, Any] | None) -> ResourceConfiguration | None:
        """What ``serialize`` made; None for None."""
        if payload is None:
            return None
        return cls(cpu=payload.get("cpu"), memory_in_gb=payload.get("memoryInGB"), gpu=payload.get("gpu"))


@dataclass(frozen=True, order=True)
class ModelFile:
    """One file of a model version. ``path`` is relative to the version's folder, with ``/``."""

    path: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What is said of a model version, besides its name and files."""

    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    framework: str | None = None
    framework_version: str | None = None
    resource_configuration: ResourceConfiguration | None = None
    sample_input: str | None = None
    sample_output: str | None = None
    run_id: str | None = None
    experiment_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelDraft(ModelDescription):
    """A model version before it has a number. ``files`` are in the object store already."""

    name: str
    files: tuple[ModelFile, ...]
    is_folder: bool
    created_by: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelVersion(ModelDraft):
    """One registered version: its files never change, its tags, description and settings may."""

    version: int
    created_time: dt.datetime

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def entry(self) -> str:
        """The one file or folder in the version's folder."""
        return self.files[0].path.split("/", 1)[0]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


Condition = str | Sequence[str]
"""``"key"``: has the key; ``("key", "value")``: has it with that value."""


@dataclass(frozen=True, kw_only=True)
class ModelFilter:
    """Which model versions are meant; every field given must hold."""

    name: str | None = None
    version: int | None = None
    tags: Sequence[Condition] = ()
    properties: Sequence[Condition] = ()
    run_id: str | None = None
    framework: str | None = None
    latest: bool = False
    """Only the newest version of each name, among those that fit the rest."""


@dataclass(frozen=True, kw_only=True)
class ModelChange:
    """New values for the fields of a version that may change; None leaves one as it is."""

    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    sample_input: str | None = None
    sample_output: str | None = None
    resource_configuration: ResourceConfiguration | None = None

"""A workspace in memory: real use cases, real bundles, the shipped twins of stores, environments and targets."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.deployments import ComputeType, Deployment
from modelport.domain.models import ModelVersion
from modelport.domain.services import Service
from modelport.domain.workspaces import WorkspaceRecord
from modelport.environments.memory import MemoryEnvironments
from modelport.storage.memory import MemoryObjects, MemoryStore
from modelport.targets.memory import MemoryTarget, OneTarget
from modelport.usecases.context import Context
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.prepare_revision import RevisionRequest
from modelport.usecases.register_model import ModelRegistration, register_model
from modelport.usecases.validate_inference import validate_inference


@dataclass
class Steps:
    """A Progress that keeps the steps."""

    texts: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.texts.append(text)

    def amount(self, label: str, done: int, total: int) -> None:
        return None


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget()


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def context(tmp_path: Path, target: MemoryTarget, steps: Steps) -> Context:
    registry = MemoryStore(workspace="ws")
    record = registry.create_workspace(
        WorkspaceRecord(name="ws", id="0", created_time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    )
    return Context(
        record=record,
        folder=tmp_path / "home",
        registry=registry,
        objects=MemoryObjects(referenced=registry.referenced_objects),
        environments=MemoryEnvironments(),
        targets=OneTarget(target, kinds=frozenset(ComputeType) - {ComputeType.AKS}),
        progress=steps,
    )


@dataclass
class Workbench:
    """Makes models and services in one line."""

    context: Context
    folder: Path

    def script(self, text: str = "def init(): pass\ndef run(data): return data\n") -> Path:
        path = self.folder / "score.py"
        path.write_text(text)
        return path

    def model(self, name: str = "line", content: str = "weights", *, file: str = "model.pkl") -> ModelVersion:
        path = self.folder / file
        path.write_text(content)
        return register_model(self.context, ModelRegistration(path=path, name=name))

    def revision(self, *models: ModelVersion) -> RevisionRequest:
        return RevisionRequest(models=models, inference=validate_inference(str(self.script()), None))

    def service(
        self,
        name: str = "svc",
        *models: ModelVersion,
        overwrite: bool = False,
        deployment: Deployment | None = None,
        compute_type: ComputeType = ComputeType.LOCAL,
        **more: Any,
    ) -> Service:
        request = DeployRequest(
            name=name,
            compute_type=compute_type,
            revision=self.revision(*models),
            overwrite=overwrite,
            deployment=deployment or Deployment(),
            **more,
        )
        return deploy(self.context, request)


@pytest.fixture
def bench(context: Context, tmp_path: Path) -> Workbench:
    return Workbench(context, tmp_path)

"""The building of an environment, as something to wait for (azureml-v1 reference, 2.4: ImageBuildDetails)."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from modelport.domain.environments import EnvironmentDefinition, Interpreter
from modelport.domain.errors import ModelportError
from modelport.domain.progress import Progress
from modelport.environments.interface import Environments
from modelport.sdk.environment_sections import DatabricksSection, DockerSection, RSection, SparkSection
from modelport.storage.interface import MetadataStore


class ImageBuildDetails:
    """An environment that is being resolved and built in the background: v1 built an image of it."""

    def __init__(
        self, definition: EnvironmentDefinition, environments: Environments, *, notes: Iterable[str] = ()
    ) -> None:
        """``notes`` are said first."""
        self._definition = definition
        self._environments = environments
        self._lines: list[str] = [*notes]
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._interpreter: Interpreter | None = None
        threading.Thread(target=self._work, name=f"build {definition.name}", daemon=True).start()

    @property
    def status(self) -> str:
        """``Running``, ``Succeeded`` or ``Failed``."""
        if self._error is not None:
            return "Failed"
        return "Running" if self._interpreter is None else "Succeeded"

    @property
    def interpreter(self) -> Interpreter | None:
        """What came of it; None while it runs, and where it failed."""
        return self._interpreter

    def get_log(self) -> str:
        """What was done so far, and the error, if there was one."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for_completion(self, show_output: bool = True) -> None:
        """Return when it is built. Raises what stopped it: EnvironmentException and its children."""
        shown = 0
        with self._changed:
            while True:
                if show_output:
                    for line in self._lines[shown:]:
                        print(line, flush=True)  # noqa: T201 - show_output asks for it
                    shown = len(self._lines)
                if self.status != "Running":
                    break
                self._changed.wait()
        if self._error is not None:
            raise self._error

    def step(self, text: str) -> None:
        """A step of the build begins: this is the ``Progress`` of the build."""
        with self._changed:
            self._lines.append(text)
            self._changed.notify_all()

    def amount(self, label: str, done: int, total: int) -> None:
        """Amounts are not kept."""

    def _work(self) -> None:
        try:
            lock = self._environments.resolve(self._definition, progress=self)
            for note in lock.notes:
                self.step(note)
            interpreter = self._environments.materialise(lock, progress=self)
        except Exception as error:  # it is raised again where somebody waits for it
            self._finish(error.text if isinstance(error, ModelportError) else repr(error), error=error)
        else:
            self._finish(f"Ready: {' '.join(interpreter.command)}", interpreter=interpreter)

    def _finish(self, text: str, *, error: Exception | None = None, interpreter: Interpreter | None = None) -> None:
        with self._changed:
            self._lines.append(text)
            self._error, self._interpreter = error, interpreter
            self._changed.notify_all()


class BuildContext(Protocol):
    """What a build needs of an open workspace."""

    @property
    def environments(self) -> Environments: ...

    @property
    def progress(self) -> Progress: ...


class EnvironmentWorkspace(Protocol):
    """What environments need of a workspace."""

    @property
    def registry(self) -> MetadataStore: ...

    @property
    def context(self) -> BuildContext: ...

    @property
    def folder(self) -> Path: ...


class BuildableEnvironment:
    """What is built of an environment, and what is not."""

    docker: DockerSection
    spark: SparkSection
    databricks: DatabricksSection
    r: RSection | None

    def to_definition(self) -> EnvironmentDefinition:
        """The domain's form."""
        raise NotImplementedError

    def build(self, workspace: EnvironmentWorkspace, image_build_compute: object = None) -> ImageBuildDetails:
        """Resolve and build it on this machine, in the background. ``image_build_compute`` is not needed."""
        notes = [
            f"Not used on this machine, where environments are no images: {name}" for name in self.without_effect()
        ]
        return ImageBuildDetails(self.to_definition(), workspace.context.environments, notes=notes)

    def build_local(
        self,
        workspace: EnvironmentWorkspace,
        platform: object = None,
        useDocker: bool = True,
        pushImageToWorkspaceAcr: bool = False,
    ) -> str:
        """Resolve and build it on this machine, show how that goes, and return the log. It is no image: services here
        run without one, so that nothing is pushed either. Raises EnvironmentException and its children.
        """
        print("Building the environment itself on this machine: no Docker image of it")  # noqa: T201 - as v1 did
        if pushImageToWorkspaceAcr:
            print("Not used on this machine: pushImageToWorkspaceAcr")  # noqa: T201
        details = self.build(workspace)
        details.wait_for_completion(show_output=True)
        return details.get_log()

    def without_effect(self) -> tuple[str, ...]:
        """What is asked for that a service on this machine does not have: it runs without image, Spark and R."""
        asked = {
            "environment.docker.base_image": self.docker.own_image(),
            "environment.docker.base_dockerfile": self.docker.base_dockerfile,
            "environment.spark": self.spark.repositories or self.spark.packages,
            "environment.databricks": any(vars(self.databricks).values()) if self.databricks else None,
            "environment.r": self.r,
        }
        return tuple(name for name, value in asked.items() if value)

"""The building of an environment, as something to wait for (azureml-v1 reference, 2.4: ImageBuildDetails)."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from modelport.domain.environments import EnvironmentDefinition, Interpreter
from modelport.domain.errors import ModelportError
from modelport.domain.progress import Progress
from modelport.environments.interface import Environments


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

"""An interpreter that is there already."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Interpreter, Lock
from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.locks import make_lock
from modelport.environments.probe import FoundPython, probe, running


class SystemEnvironments:
    """EnvironmentBackend for definitions that install nothing."""

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        """``interpreter_path`` ``python`` means the caller's own interpreter; a path or a command, that one."""
        wanted = definition.python.interpreter_path if definition else "python"
        return make_lock(EnvironmentKind.SYSTEM, running() if wanted == "python" else _named(wanted))

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        found = probe(lock.python)
        if found.minor != FoundPython(lock.python, lock.python_version).minor:
            raise EnvironmentException(
                f"{lock.python} was Python {lock.python_version} and is Python {found.version} now.",
                hint="Deploy anew to run on it.",
            )
        return Interpreter(command=(lock.python,), lock=lock)


def _named(wanted: str) -> FoundPython:
    path = shutil.which(str(Path(wanted).expanduser()))
    if path is None:
        raise EnvironmentException(
            f"interpreter_path names {wanted!r}, and there is no such program.",
            hint="Give the path of an interpreter, or 'python' for the one that runs this.",
        )
    # Its name is kept as given: behind the links of a virtual environment is a Python without the environment.
    absolute = str(Path(path).absolute())
    return FoundPython(absolute, probe(absolute).version)

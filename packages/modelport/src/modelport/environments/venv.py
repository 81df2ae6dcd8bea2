"""Virtual environments made by uv: a Python of this machine, and pip requirements."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelport.domain.environments import (
    CondaSpecification,
    EnvironmentDefinition,
    EnvironmentKind,
    Interpreter,
    Lock,
)
from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.azureml_packages import why_left_out
from modelport.environments.complaints import installation_failed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.interpreters import PYTHONS, Interpreters
from modelport.environments.locks import make_lock
from modelport.environments.pip_resolution import PipResolver
from modelport.environments.prefixes import Prefixes
from modelport.environments.python_request import conda_name, requested_python
from modelport.environments.requirement_lines import RequirementLine, lines_of
from modelport.environments.uv import run_uv


class VenvEnvironments:
    """EnvironmentBackend for definitions that ask for no conda packages but ``python`` and ``pip``."""

    def __init__(self, root: Path) -> None:
        cache = DiskCache(root / "resolutions")
        self._interpreters = Interpreters(cache, root / PYTHONS)
        self._resolver = PipResolver(cache)
        self._prefixes = Prefixes(root / "environments")

    def resolve(
        self, definition: EnvironmentDefinition, *, progress: Progress, more: Sequence[RequirementLine] = ()
    ) -> Lock:
        """As EnvironmentBackend; ``more`` is asked for besides the pip list."""
        conda = definition.python.conda or CondaSpecification()
        python, notes = self._interpreters.find(requested_python(conda.packages), progress=progress)
        lines, left_out = without_azureml(lines_of(conda))
        lines = [*more, *lines]
        found = self._resolver.found(lines, python)
        if found is None:
            progress.step(f"Resolving environment '{definition.name}' for Python {python.version}")
            found = self._resolver.resolve(lines, python)
        notes = (*notes, *_pip_notes(conda), *left_out, *found.notes)
        return make_lock(EnvironmentKind.VENV, python, text=found.text, notes=notes)

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        def build(folder: Path) -> None:
            progress.step(f"Building an environment for Python {lock.python_version}")
            _build(lock, folder)

        return self._prefixes.ensure(lock, build, progress=progress)

    def forget(self, definition: EnvironmentDefinition, *, more: Sequence[RequirementLine] = ()) -> None:
        """Let the next ``resolve`` of the definition ask the index again."""
        conda = definition.python.conda or CondaSpecification()
        request = requested_python(conda.packages)
        python, _ = self._interpreters.find(request)
        self._interpreters.forget(request)
        self._resolver.forget([*more, *without_azureml(lines_of(conda))[0]], python)


def without_azureml(lines: Iterable[RequirementLine]) -> tuple[list[RequirementLine], tuple[str, ...]]:
    """The lines without the packages that are never fetched, and a note for each of those."""
    kept: list[RequirementLine] = []
    notes: list[str] = []
    for line in lines:
        if line.name is not None and line.is_azureml:
            notes.append(why_left_out(line.name, line.shown))
        else:
            kept.append(line)
    return kept, tuple(dict.fromkeys(notes))


def install_pins(pins: str, python: str) -> None:
    """Install exactly the pinned packages into the environment of the interpreter ``python``.

    Raises EnvironmentException, and ResolutionFailed where the index does not answer.
    """
    if not pins:
        return
    with tempfile.TemporaryDirectory(prefix="modelport-install-") as name:
        (Path(name) / "lock.txt").write_text(pins, encoding="utf-8")
        arguments = ("pip", "install", "--quiet", "--no-deps", "--python", python, "-r", "lock.txt")
        answer = run_uv(*arguments, cwd=Path(name))
    if not answer.succeeded:
        raise installation_failed(answer.complaint)
    compile_packages(python)


def compile_packages(python: str) -> None:
    """Compile once here, not at each start of a worker: where PYTHONDONTWRITEBYTECODE is set no start would keep it.

    By the interpreter itself, on all cores: uv's own compilation needs Python 3.7. A file that does not compile
    (packages ship some for other Pythons) is no failure.
    """
    code = "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_paths()['purelib'], quiet=2, workers=0)"
    # As uv, it holds the lock of the environment (prefixes.py): where this process is killed, it goes on writing.
    subprocess.run([python, "-I", "-c", code], capture_output=True, close_fds=False)


def _build(lock: Lock, folder: Path) -> None:
    if not Path(lock.python).exists():
        raise EnvironmentException(
            f"Python {lock.python_version} at {lock.python}, which the environment is made from, is gone.",
            hint="Install it again, or deploy anew: the environment is then resolved with a Python that is there.",
        )
    arguments = ("venv", "--quiet", "--no-project", "--python", lock.python, str(folder))
    answer = run_uv(*arguments, cwd=folder.parent, indexes=False)
    if not answer.succeeded:
        raise EnvironmentException(f"The virtual environment {folder} cannot be made.\n{answer.complaint}")
    install_pins(lock.text, str(folder / "bin" / "python"))


def _pip_notes(conda: CondaSpecification) -> Iterator[str]:
    """A pip of a given version is a tool that is not used here: say so. A bare ``pip`` only means the list."""
    for package in _pinned_pip(conda.packages):
        yield f"{package} is not installed: uv installs the packages. If a script calls pip, add it to the pip list."


def _pinned_pip(packages: Sequence[str]) -> list[str]:
    return [package for package in packages if conda_name(package) == "pip" and package.strip() != "pip"]

"""The lock of an environment that is to read the files of models.

Lists of 2019 and 2020 name ``scikit-learn`` without a version and meant the one of that year. A model's file says which
one wrote it: where the list leaves the version open, that one is asked for first, with the NumPy and SciPy of its time:
its wheels name no upper bound, and those built for NumPy 1 do not load beside NumPy 2.
"""

from __future__ import annotations

import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, Lock
from modelport.domain.errors import EnvironmentException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.models import ModelVersion
from modelport.environments.requirement_lines import normalised
from modelport.usecases.context import Context
from modelport.usecases.download_model import place_model_file
from modelport.usecases.no_code.requirements import bounds
from modelport.usecases.pickled_versions import holds_old_joblib, own_scikit_learn, pickled_with

_OPEN = "scikit-learn"
_READS_BOTH = "0.22.2.post1"
"""The last scikit-learn in which joblib itself reads what scikit-learn's own joblib wrote, and the scripts of its time
run."""
_PYTHON_OF_V1 = "python=3.6.2"
"""What v1 writes into an environment that nobody asked a Python for."""
_LARGEST = 256 * 1024 * 1024
"""Bytes of a file that is looked into: it is read and verified for that."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    definition: EnvironmentDefinition
    note: str


@dataclass(frozen=True)
class _Reader:
    """A scikit-learn for a model's file."""

    version: str
    why: str


def resolve_for_models(
    context: Context, definition: EnvironmentDefinition | None, models: Sequence[ModelVersion]
) -> Lock:
    """Resolve the environment, with the scikit-learn that wrote the models where the definition leaves that open.

    Where that one cannot be had for a Python that v1 chose and not the user, the Python that runs us is taken, if it is
    the one that has it; so it is too where the definition pins the version that is imported here. The notes of the lock
    say what was chosen. Raises EnvironmentException for the definition as it was written.
    """
    for attempt in _attempts(context, definition, models):
        try:
            lock = context.environments.resolve(attempt.definition, progress=context.progress)
            return replace(lock, notes=(attempt.note, *lock.notes))
        except EnvironmentException:
            continue
    with in_phase(Phase.RESOLVE):
        try:
            return context.environments.resolve(definition, progress=context.progress)
        except EnvironmentException:
            found = _with_own_python(context, definition)
            if found is None:
                raise
            return found


def _with_own_python(context: Context, definition: EnvironmentDefinition | None) -> Lock | None:
    """The same with the Python that runs us, where v1 chose the other one, and the version of scikit-learn is the one
    that is imported here: notebooks pin it by ``"scikit-learn=={}".format(sklearn.__version__)``."""
    conda = definition.python.conda if definition else None
    version = own_scikit_learn()
    own = f"{_OPEN}=={version}"
    if definition is None or conda is None or _PYTHON_OF_V1 not in conda.packages or own not in conda.pip:
        return None
    python = platform.python_version()
    note = f"There is no {own} for {_PYTHON_OF_V1}, v1's default: Python {python}, which has it here, is taken."
    of_its_time = (*conda.pip, *_beside(version, (*conda.packages, *conda.pip)))
    taken = _with(definition, replace(conda, packages=_on(python, conda.packages), pip=of_its_time))
    try:
        lock = context.environments.resolve(taken, progress=context.progress)
    except EnvironmentException:
        return None
    return replace(lock, notes=(note, *lock.notes))


def _on(python: str, packages: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"python={python}" if entry == _PYTHON_OF_V1 else entry for entry in packages)


def _attempts(
    context: Context, definition: EnvironmentDefinition | None, models: Sequence[ModelVersion]
) -> Iterator[_Attempt]:
    conda = definition.python.conda if definition else None
    if definition is None or conda is None or definition.python.user_managed_dependencies:
        return
    entries = (*conda.packages, *conda.pip)
    if not any(_names(entry, _OPEN) for entry in entries):
        return
    readers = set(_readers(context, models, with_joblib=any(_names(entry, "joblib") for entry in entries)))
    if len(readers) != 1:
        return  # nobody knows, or no version is the right one for all of them
    (reader,) = readers
    version = reader.version
    beside = _beside(version, entries)
    pinned = replace(conda, packages=_pinned(conda.packages, version, beside), pip=_pinned(conda.pip, version, beside))
    note = f"scikit-learn=={version} is taken, {reader.why}: the environment names no version of it."
    yield _Attempt(definition=_with(definition, pinned), note=note)
    if _PYTHON_OF_V1 in conda.packages and version == own_scikit_learn():
        own = platform.python_version()
        yield _Attempt(
            definition=_with(definition, replace(pinned, packages=_on(own, pinned.packages))),
            note=f"{note} There is none for {_PYTHON_OF_V1}, v1's default; Python {own}, where the model was trained, "
            "is taken.",
        )


def _with(definition: EnvironmentDefinition, conda: CondaSpecification) -> EnvironmentDefinition:
    return replace(definition, python=replace(definition.python, conda=conda))


def _names(entry: str, package: str) -> bool:
    """Whether the entry is the package's name, and nothing else."""
    return normalised(entry.strip()) == package


def _pinned(entries: Sequence[str], version: str, beside: tuple[str, ...]) -> tuple[str, ...]:
    """The list with that scikit-learn in place of the open one, and what goes with it behind."""
    if not any(_names(entry, _OPEN) for entry in entries):
        return tuple(entries)
    return (*(f"{_OPEN}=={version}" if _names(entry, _OPEN) else entry for entry in entries), *beside)


def _beside(version: str | None, entries: Iterable[str]) -> tuple[str, ...]:
    """The bounds of what scikit-learn itself needs, but of nothing whose version somebody chose."""
    listed = (re.match(r"([\w.-]+)\s*[^\w\s.-]", entry.strip()) for entry in entries)
    chosen = {normalised(found[1]) for found in listed if found}
    return tuple(bound for bound in bounds(_OPEN, version) if bound.partition("<")[0] in {"numpy", "scipy"} - chosen)


def _readers(context: Context, models: Sequence[ModelVersion], *, with_joblib: bool) -> Iterator[_Reader]:
    """The versions for the files that tell who wrote them."""
    files = [(model, file) for model in models for file in model.files if file.size <= _LARGEST]
    with tempfile.TemporaryDirectory(prefix="modelport-writers-") as folder:
        for number, (model, file) in enumerate(files):
            path = Path(folder) / str(number)
            place_model_file(context, model, file, path, link=True)
            version = pickled_with(path)
            if version and with_joblib and holds_old_joblib(path):
                yield _Reader(_READS_BOTH, f"in which joblib reads what {version} wrote")
            elif version:
                yield _Reader(version, "which wrote the model")

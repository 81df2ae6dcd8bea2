"""The lock of an environment that is to read the files of models.

Lists of 2019 and 2020 name ``scikit-learn`` without a version and meant the one of that year. A model's file says which
one wrote it: where the list leaves the version open, that one is asked for first.

Old releases name no upper bounds, and those built for NumPy 1 do not load beside NumPy 2. Whoever pinned one got the
NumPy of that year; where the list leaves that open, it is asked for first.
"""

from __future__ import annotations

import contextlib
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
_NEEDED = frozenset(("numpy", "scipy", "protobuf"))
"""What the packages with bounds install in any case."""
_PINNED = re.compile(r"([\w.-]+)\s*==?\s*([\d.]+(?:post\d+)?)")
"""As a list of pip's or of conda's has it."""
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
    bounded = _with_bounds(definition)
    if bounded is not None:
        with contextlib.suppress(EnvironmentException):
            lock = context.environments.resolve(bounded.definition, progress=context.progress)
            return replace(lock, notes=(bounded.note, *lock.notes))
    with in_phase(Phase.RESOLVE):
        try:
            return context.environments.resolve(definition, progress=context.progress)
        except EnvironmentException:
            found = _with_own_python(context, definition)
            if found is None:
                raise
            return found


def _with_bounds(definition: EnvironmentDefinition | None) -> _Attempt | None:
    """The same with what goes with the releases that it pins; None where the lists, or an old Python, leave nothing
    open that could be too new."""
    conda = definition.python.conda if definition else None
    if definition is None or conda is None or definition.python.user_managed_dependencies or _is_old(conda):
        return None
    entries = (*conda.packages, *conda.pip)
    packages, pip = (_bounds_of(part, entries) for part in (conda.packages, conda.pip))
    if not packages and not pip:
        return None
    bounded = replace(conda, packages=(*conda.packages, *packages), pip=(*conda.pip, *pip))
    taken = ", ".join((*packages, *pip))
    note = f"{taken}: of the time of the releases that the environment pins, which do not load beside newer ones."
    return _Attempt(definition=_with(definition, bounded), note=note)


def _is_old(conda: CondaSpecification) -> bool:
    """Whether the Python is one for which nothing was released that is too new."""
    return any(re.match(r"python\s*=+\s*3\.[67]\b", entry) for entry in conda.packages)


def _bounds_of(part: Sequence[str], entries: Sequence[str]) -> tuple[str, ...]:
    """What goes with the releases that one of the lists pins."""
    found = (_PINNED.fullmatch(entry.strip()) for entry in part)
    every = (_beside(normalised(pin[1]), pin[2], entries) for pin in found if pin)
    return tuple(dict.fromkeys(bound for bounds in every for bound in bounds))


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
    of_its_time = (*conda.pip, *_beside(_OPEN, version, (*conda.packages, *conda.pip)))
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
    beside = _beside(_OPEN, version, entries)
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


def _beside(package: str, version: str | None, entries: Iterable[str]) -> tuple[str, ...]:
    """The bounds of what the package itself needs, but of nothing whose version somebody chose."""
    listed = (re.match(r"([\w.-]+)\s*[^\w\s.-]", entry.strip()) for entry in entries)
    chosen = {normalised(found[1]) for found in listed if found}
    return tuple(bound for bound in bounds(package, version) if bound.partition("<")[0] in _NEEDED - chosen)


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

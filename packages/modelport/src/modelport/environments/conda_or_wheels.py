"""Conda packages from their channels; where none can be reached, or none is to be asked, from wheels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, Interpreter, Lock
from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.channels import ChannelUnreachable
from modelport.environments.conda import CondaEnvironments
from modelport.environments.conda_as_wheels import AsWheels, as_wheels, taken_as_wheels
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import sha256_of
from modelport.environments.python_request import conda_name
from modelport.environments.specification import place_of
from modelport.environments.spelling import did_you_mean, nearest_on_conda
from modelport.environments.venv import VenvEnvironments

SOURCE_VARIABLE = "MODELPORT_CONDA_PACKAGES"


class CondaSource(StrEnum):
    """Where conda packages come from."""

    AUTO = "auto"
    """From their channels; from wheels where a channel cannot be reached and each package is known on PyPI."""
    CHANNELS = "channels"
    WHEELS = "wheels"


def conda_source(environ: Mapping[str, str] = os.environ) -> CondaSource:
    """What ``MODELPORT_CONDA_PACKAGES`` says. Raises EnvironmentException for a word that it does not know."""
    said = environ.get(SOURCE_VARIABLE) or CondaSource.AUTO
    try:
        return CondaSource(said.lower())
    except ValueError:
        raise EnvironmentException(
            f"{SOURCE_VARIABLE} is {said!r}.", hint=f"It may be: {', '.join(CondaSource)}."
        ) from None


class CondaOrWheels:
    """EnvironmentBackend for definitions that ask for conda packages, whichever way they can be had."""

    def __init__(self, root: Path, venvs: VenvEnvironments) -> None:
        self._conda = CondaEnvironments(root)
        self._venvs = venvs
        self._cache = DiskCache(root / "resolutions")

    def resolve(self, definition: EnvironmentDefinition, *, progress: Progress) -> Lock:
        """As EnvironmentBackend. That wheels had to do is kept with the resolution, until ``forget``."""
        source = conda_source()
        wheels = as_wheels(_conda(definition))
        if source is CondaSource.WHEELS:
            if wheels.unknown:
                raise _not_on_pypi(_conda(definition), wheels)
            return self._from_wheels(definition, wheels, f"{SOURCE_VARIABLE} is {source}.", progress)
        kept = self._cache.get(_key(definition)) if source is CondaSource.AUTO else None
        if kept is not None:
            return self._from_wheels(definition, wheels, kept["why"], progress)
        try:
            return self._conda.resolve(definition, progress=progress)
        except ChannelUnreachable as error:
            if source is CondaSource.CHANNELS:
                raise
            return self._instead(definition, wheels, error, progress)

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        """As EnvironmentBackend, for locks that came from channels: the others are virtual environments."""
        return self._conda.materialise(lock, progress=progress)

    def forget(self, definition: EnvironmentDefinition) -> None:
        """Let the next ``resolve`` of the definition ask channels and index again."""
        if conda_source() is CondaSource.WHEELS or self._cache.get(_key(definition)) is not None:
            self._cache.remove(_key(definition))
            self._venvs.forget(definition, more=as_wheels(_conda(definition)).lines)
        self._conda.forget(definition)

    def _instead(
        self, definition: EnvironmentDefinition, wheels: AsWheels, error: ChannelUnreachable, progress: Progress
    ) -> Lock:
        if wheels.unknown:
            hint = f"{_unknown(_conda(definition), wheels)}\n{error.hint}"
            raise ChannelUnreachable(error.message, hint=hint) from error
        why = error.message.partition("\n")[0]
        progress.step(f"{why} Taking wheels instead")
        lock = self._from_wheels(definition, wheels, why, progress)
        self._cache.put(_key(definition), {"why": why})
        return lock

    def _from_wheels(self, definition: EnvironmentDefinition, wheels: AsWheels, why: str, progress: Progress) -> Lock:
        lock = self._venvs.resolve(definition, progress=progress, more=wheels.lines)
        taken = (f"{why} {taken_as_wheels(wheels.lines)}.",) if wheels.lines else (why,)
        return replace(lock, notes=(*taken, *wheels.notes, *lock.notes))


def _conda(definition: EnvironmentDefinition) -> CondaSpecification:
    return definition.python.conda or CondaSpecification()


def _key(definition: EnvironmentDefinition) -> str:
    conda = _conda(definition)
    return sha256_of("wheels instead of conda", conda.channels, conda.packages)


def _unknown(conda: CondaSpecification, wheels: AsWheels) -> str:
    return (
        "Without a channel, nobody can tell what these are on PyPI:\n"
        f"{_listed(conda, wheels)}\nCorrect what is misspelt; put what a script imports of the rest under 'pip:', and "
        "leave out what it does not."
    )


def _not_on_pypi(conda: CondaSpecification, wheels: AsWheels) -> EnvironmentException:
    return EnvironmentException(
        f"{SOURCE_VARIABLE} asks for wheels, and these conda packages have none that is known:\n"
        f"{_listed(conda, wheels)}",
        hint="Correct what is misspelt; put what a script imports of the rest under 'pip:', and leave out what it does "
        "not.",
    )


def _listed(conda: CondaSpecification, wheels: AsWheels) -> str:
    """A line for each, with the place that asks for it, and what may have been meant."""
    return "\n".join(
        f"  {spec} ({place_of(conda, spec)}){did_you_mean(nearest_on_conda(conda_name(spec)))}"
        for spec in wheels.unknown
    )

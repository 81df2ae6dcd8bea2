"""Reads lists of packages: requirements files, conda files, and what ``pip install`` is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from modelport.environments.azureml_packages import PROVIDED, is_azureml, why_left_out
from modelport.environments.probe import OLDEST
from modelport.environments.requirement_lines import package_name
from modelport.usecases.compatibility import Status
from modelport.usecases.migration.findings import Finding, Place

_REQUIREMENTS = re.compile(r"(requirements|constraints).*\.(txt|in)$", re.IGNORECASE)
_PYTHON = re.compile(r"python\s*=*\s*(\d+)\.(\d+)")
_INSTEAD = "install modelport-azureml[client] instead: it has the same modules"
_SECOND_VERSION = frozenset({"azure-ai-ml"})


def is_requirements(file: str) -> bool:
    """Whether a file of that name is a list of pip requirements."""
    return _REQUIREMENTS.search(PurePosixPath(file).name) is not None


def to_install(arguments: str, place: Place) -> Iterator[Finding]:
    """The packages of Azure ML that a command installs, where the project's own programs run."""
    yield from in_list([(_without_quotes(word), place) for word in arguments.split()])


def _without_quotes(word: str) -> str:
    """The word as pip gets it: in a Dockerfile it may be the last one of a list in brackets."""
    word = word.strip("\"',;")
    return word[:-1].rstrip("\"',") if word.count("]") > word.count("[") else word


def in_list(entries: Iterable[tuple[str, Place]]) -> Iterator[Finding]:
    """The packages of Azure ML in a list that the project's own programs are installed by."""
    for text, place in entries:
        name = package_name(text)
        if is_azureml(name):
            yield Finding(place=place, subject=text, status=Status.DIFFERS, note=_INSTEAD)
        elif name in _SECOND_VERSION:
            note = "this is version 2 of the SDK; Modelport has the names of version 1"
            yield Finding(place=place, subject=text, status=Status.ABSENT, note=note)


def in_environment(entries: Iterable[tuple[str, Place]]) -> Iterator[Finding]:
    """What differs among the packages of an environment that a script is served in."""
    for text, place in entries:
        name = package_name(text)
        python = _PYTHON.match(text)
        if name is not None and is_azureml(name):
            status = Status.SAME if name in PROVIDED else Status.DIFFERS
            yield Finding(place=place, subject=text, status=status, note=why_left_out(name, text))
        elif python and (int(python[1]), int(python[2])) < OLDEST:
            note = f"entry scripts run on Python {OLDEST[0]}.{OLDEST[1]} and newer"
            yield Finding(place=place, subject=text, status=Status.ABSENT, note=note)

"""Conda prefixes made by rattler: conda packages, and pip requirements on top of them by uv."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from modelport.domain.environments import (
    CondaSpecification,
    EnvironmentDefinition,
    EnvironmentKind,
    Interpreter,
    Lock,
)
from modelport.domain.errors import ResolutionFailed
from modelport.domain.progress import Progress
from modelport.environments.azureml_packages import is_azureml, why_left_out
from modelport.environments.channels import DEFAULT_CHANNEL, CondaChannels, Unsolvable, load_rattler
from modelport.environments.complaints import resolution_failed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import make_lock, sha256_of
from modelport.environments.pip_resolution import asks_for_packages, local_traces, lock_text, write_requirements
from modelport.environments.prefixes import Prefixes
from modelport.environments.probe import FoundPython
from modelport.environments.python_request import conda_name
from modelport.environments.requirement_lines import RequirementLine, lines_of
from modelport.environments.specification import place_of
from modelport.environments.spelling import did_you_mean, nearest
from modelport.environments.uv import index_fingerprint, run_uv, without_credentials
from modelport.environments.venv import install_pins, without_azureml


@dataclass(frozen=True)
class _Question:
    """What is asked of the channels and the index."""

    conda: CondaSpecification
    specs: tuple[str, ...]
    channels: tuple[str, ...]
    lines: tuple[RequirementLine, ...]
    notes: tuple[str, ...]


class CondaEnvironments:
    """EnvironmentBackend for definitions that ask for conda packages."""

    def __init__(self, root: Path) -> None:
        self._cache = DiskCache(root / "resolutions")
        self._prefixes = Prefixes(root / "environments")
        self._channels = CondaChannels(root / "conda-packages")

    def resolve(self, definition: EnvironmentDefinition, *, progress: Progress) -> Lock:
        question = _question(definition)
        key = _key(question)
        found = self._cache.get(key)
        if found is None:
            progress.step(f"Resolving environment '{definition.name}' with the conda channels")
            found = self._ask(question, progress)
            self._cache.put(key, found)
        python = FoundPython("bin/python", found["python"])
        return make_lock(EnvironmentKind.CONDA, python, text=found["text"], notes=question.notes)

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        content = json.loads(lock.text)

        def build(folder: Path) -> None:
            progress.step(f"Installing {len(content['packages'])} conda packages")
            self._channels.install(content["packages"], folder)
            if content["pip"]:
                progress.step("Installing the pip requirements")
            install_pins("".join(f"{pin}\n" for pin in content["pip"]), str(folder / "bin" / "python"))

        return self._prefixes.ensure(lock, build, progress=progress)

    def forget(self, definition: EnvironmentDefinition) -> None:
        """Let the next ``resolve`` of the definition ask the channels again."""
        self._cache.remove(_key(_question(definition)))

    def _ask(self, question: _Question, progress: Progress) -> dict[str, Any]:
        records = self._solve(question)
        python = next((str(record["version"]) for record in records if record["name"] == "python"), None)
        if python is None:
            raise ResolutionFailed("The channels' packages were resolved without a Python.", hint="Add python=3.8.")
        pins = self._pip_pins(question, records, python, progress) if asks_for_packages(question.lines) else []
        return {"python": python, "text": json.dumps({"packages": records, "pip": pins}, indent=1, sort_keys=True)}

    def _solve(self, question: _Question) -> list[dict[str, Any]]:
        rattler = load_rattler()
        specs = [_checked(rattler, spec, question.conda) for spec in question.specs]
        try:
            return self._channels.solve(specs, question.channels)
        except Unsolvable as error:
            raise _unsolvable(str(error), question, self._channels.names(question.channels)) from error

    def _pip_pins(
        self, question: _Question, records: Sequence[dict[str, Any]], python: str, progress: Progress
    ) -> list[str]:
        """What pip would add to the conda packages; only in a prefix that has them can that be known."""
        progress.step("Resolving the pip requirements on top of the conda packages")
        with tempfile.TemporaryDirectory(prefix="modelport-conda-") as name:
            prefix = Path(name) / "prefix"
            self._channels.install(records, prefix)
            write_requirements(question.lines, Path(name))
            answer = run_uv(
                *("pip", "install", "--dry-run", "--python", str(prefix / "bin" / "python"), "--break-system-packages"),
                *("-r", "requirements.txt", "--constraints", "constraints.txt", "--excludes", "excludes.txt"),
                cwd=Path(name),
            )
        if not answer.succeeded:
            raise resolution_failed(answer.complaint, question.lines, python_version=python)
        return lock_text(_additions(answer.log, question.lines), question.lines).splitlines()


def _question(definition: EnvironmentDefinition) -> _Question:
    conda = definition.python.conda or CondaSpecification()
    lines, left_out = without_azureml(lines_of(conda))
    specs, notes = _without_azureml(conda.packages)
    if "python" not in map(conda_name, specs):
        specs = ("python", *specs)
        notes = ("No Python is named among the conda packages; the newest that fits is taken.", *notes)
    return _Question(conda, specs, conda.channels or (DEFAULT_CHANNEL,), tuple(lines), (*notes, *left_out))


def _without_azureml(packages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dropped = [spec for spec in packages if is_azureml(conda_name(spec))]
    kept = tuple(spec for spec in packages if spec not in dropped)
    return kept, tuple(why_left_out(conda_name(spec), spec) for spec in dropped)


def _key(question: _Question) -> str:
    lines = [(line.text, line.constraint) for line in question.lines]
    rattler = load_rattler()
    machine = [str(rattler.Subdir.current()), *map(str, rattler.VirtualPackage.detect())]
    local = local_traces(question.lines)
    return sha256_of("conda", question.specs, question.channels, lines, local, machine, index_fingerprint())


def _checked(rattler: ModuleType, spec: str, conda: CondaSpecification) -> object:
    try:
        return rattler.MatchSpec(spec)
    except rattler.exceptions.InvalidMatchSpecError as error:
        raise ResolutionFailed(
            f"{place_of(conda, spec)}: {spec!r} is not a conda package specification: {error}.",
            hint="Write it as name, name=1.2 or name>=1.2,<2.",
        ) from error


def _additions(log: str, lines: Sequence[RequirementLine]) -> str:
    """The packages that a dry run would add, as requirement lines."""
    editable = {line.local.as_uri() for line in lines if line.is_editable and line.local}
    pins = []
    for name, version, origin in re.findall(r"^ [+~] ([\w.-]+)==(\S+)(?: \(from (\S+)\))?$", log, re.MULTILINE):
        if origin in editable:
            pins.append(f"-e {origin}")
        else:
            pins.append(f"{name} @ {origin}" if origin else f"{name}=={version}")
    return "\n".join(pins)


def _unsolvable(complaint: str, question: _Question, known: frozenset[str]) -> ResolutionFailed:
    """``known`` is what the channels have, where that could be told."""
    channels = ", ".join(map(without_credentials, question.channels))
    asked_for = "\n\nAsked for in:{}".format
    absent = [spec for spec in question.specs if known and conda_name(spec) not in known and not _is_virtual(spec)]
    if absent:
        first, where = absent[0], "".join(f"\n  {place_of(question.conda, spec)}: {spec}" for spec in absent)
        named = ", ".join(repr(conda_name(spec)) for spec in absent)
        meant = nearest(conda_name(first), known)
        return ResolutionFailed(
            f"The channels {channels} have no package {named}.\n{complaint.strip()}{asked_for(where)}",
            hint=f"Check the spelling of {first!r} ({place_of(question.conda, first)}).{did_you_mean(meant)} Or add a "
            "channel that has it; or move it under 'pip:' if only PyPI has it.",
        )
    blamed = [spec for spec in question.specs if _is_mentioned(spec, complaint)]
    where = "".join(f"\n  {place_of(question.conda, spec)}: {spec}" for spec in blamed)
    first = f"{blamed[0]!r} ({place_of(question.conda, blamed[0])})" if blamed else "the conda packages"
    return ResolutionFailed(
        f"The conda packages cannot be resolved with the channels {channels}.\n{complaint.strip()}"
        f"{asked_for(where) if where else ''}",
        hint=f"Change {first} to a version that the channels have and that goes with the others, or leave its version "
        "out; or add a channel that has it.",
    )


def _is_virtual(spec: str) -> bool:
    """A property of the machine, as ``__glibc``: no channel has it."""
    return conda_name(spec).startswith("__")


def _is_mentioned(spec: str, complaint: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(conda_name(spec))}(?![\w-])", complaint) is not None

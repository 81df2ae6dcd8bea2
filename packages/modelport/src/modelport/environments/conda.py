"""Conda prefixes made by rattler: conda packages, and pip requirements on top of them by uv."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from modelport.domain.environments import (
    CondaSpecification,
    EnvironmentDefinition,
    EnvironmentKind,
    Interpreter,
    Lock,
)
from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.domain.progress import Progress
from modelport.environments.complaints import resolution_failed
from modelport.environments.disk_cache import DiskCache
from modelport.environments.locks import make_lock, sha256_of
from modelport.environments.pip_resolution import asks_for_packages, local_traces, lock_text, write_requirements
from modelport.environments.prefixes import Prefixes
from modelport.environments.probe import FoundPython
from modelport.environments.python_request import conda_name
from modelport.environments.requirement_lines import RequirementLine, lines_of
from modelport.environments.specification import line_of_entry
from modelport.environments.uv import index_fingerprint, run_uv, without_credentials
from modelport.environments.venv import install_pins, without_provided

_T = TypeVar("_T")

DEFAULT_CHANNEL = "conda-forge"
_UNSTABLE = ("indexed_timestamp",)
"""What a channel says of a package and that changes without the package."""

_CHANNEL_HINT = (
    "Check the network, or name a channel that can be reached under 'channels:' (a URL, or file:///path). Requirements "
    "under 'pip:' need no channel: with only python and pip left among the conda packages, none is asked."
)


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
        self._packages = root / "conda-packages"

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
            self._install(content["packages"], folder)
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
        rattler = _rattler()
        specs = [_checked(rattler, spec, question.conda) for spec in question.specs]

        async def solve() -> list[Any]:
            found: list[Any] = await rattler.solve(
                sources=list(question.channels),
                specs=specs,
                gateway=rattler.Gateway(cache_dir=self._packages / "repodata"),
                virtual_packages=rattler.VirtualPackage.detect(),
            )
            return found

        try:
            records = _run(solve)
        except (rattler.exceptions.GatewayError, rattler.exceptions.FetchRepoDataError) as error:
            raise _unreachable(str(error), question.channels) from error
        except (rattler.exceptions.SolverError, rattler.exceptions.InvalidChannelError) as error:
            raise _unsolvable(str(error), question) from error
        return sorted(map(_stable, records), key=lambda record: str(record["name"]))

    def _install(self, records: Sequence[dict[str, Any]], prefix: Path) -> None:
        rattler = _rattler()

        async def install() -> None:
            wanted = [_record(rattler, record) for record in records]
            await rattler.install(wanted, prefix, cache_dir=self._packages / "packages", show_progress=False)

        try:
            _run(install)
        except (rattler.exceptions.InstallerError, rattler.exceptions.LinkError, rattler.exceptions.IoError) as error:
            complaint = without_credentials(str(error))
            raise EnvironmentException(
                f"The conda packages cannot be installed.\n{complaint}", hint=_CHANNEL_HINT
            ) from error

    def _pip_pins(
        self, question: _Question, records: Sequence[dict[str, Any]], python: str, progress: Progress
    ) -> list[str]:
        """What pip would add to the conda packages; only in a prefix that has them can that be known."""
        progress.step("Resolving the pip requirements on top of the conda packages")
        with tempfile.TemporaryDirectory(prefix="modelport-conda-") as name:
            prefix = Path(name) / "prefix"
            self._install(records, prefix)
            write_requirements(question.lines, Path(name))
            answer = run_uv(
                *("pip", "install", "--dry-run", "--python", str(prefix / "bin" / "python"), "-r", "requirements.txt"),
                *("--constraints", "constraints.txt", "--break-system-packages"),
                cwd=Path(name),
            )
        if not answer.succeeded:
            raise resolution_failed(answer.complaint, question.lines, python_version=python)
        return lock_text(_additions(answer.log, question.lines), question.lines).splitlines()


def _question(definition: EnvironmentDefinition) -> _Question:
    conda = definition.python.conda or CondaSpecification()
    lines, notes = without_provided(lines_of(conda))
    specs, more = conda.packages, tuple[str, ...]()
    if "python" not in map(conda_name, specs):
        specs, more = (
            ("python", *specs),
            ("No Python is named among the conda packages; the newest that fits is taken.",),
        )
    return _Question(conda, specs, conda.channels or (DEFAULT_CHANNEL,), tuple(lines), (*more, *notes))


def _key(question: _Question) -> str:
    lines = [(line.text, line.constraint) for line in question.lines]
    rattler = _rattler()
    machine = [str(rattler.Subdir.current()), *map(str, rattler.VirtualPackage.detect())]
    local = local_traces(question.lines)
    return sha256_of("conda", question.specs, question.channels, lines, local, machine, index_fingerprint())


def _rattler() -> ModuleType:
    """rattler, loaded when the first conda environment asks for it: it takes longer than all else together."""
    import rattler  # noqa: PLC0415
    import rattler.exceptions  # noqa: PLC0415

    module: ModuleType = rattler
    return module


def _run(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run it in a thread of its own: in a notebook the caller's thread has a running event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def _checked(rattler: ModuleType, spec: str, conda: CondaSpecification) -> object:
    try:
        return rattler.MatchSpec(spec)
    except rattler.exceptions.InvalidMatchSpecError as error:
        raise ResolutionFailed(
            f"{_place(conda, spec)}: {spec!r} is not a conda package specification: {error}.",
            hint="Write it as name, name=1.2 or name>=1.2,<2.",
        ) from error


def _stable(record: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(record.to_json())
    return {key: value for key, value in content.items() if key not in _UNSTABLE}


def _record(rattler: ModuleType, content: dict[str, Any]) -> object:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        package = rattler.PackageRecord.from_index_json(file.name)
    return rattler.RepoDataRecord(package, content["fn"], content["url"], content["channel"])


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


def _place(conda: CondaSpecification, spec: str) -> str:
    line = line_of_entry(Path(conda.source), spec) if conda.source else None
    return f"{conda.source}:{line}" if line else "the conda packages"


def _unreachable(complaint: str, channels: Sequence[str]) -> ResolutionFailed:
    complaint = without_credentials(complaint)
    url = re.search(r"\w+://[^\s'`)]+", complaint)
    named = [name for name in map(without_credentials, channels) if name.rstrip("/") in complaint]
    channel = named[0] if named else url[0] if url else ", ".join(map(without_credentials, channels))
    return ResolutionFailed(f"The conda channel {channel} cannot be reached.\n{complaint}", hint=_CHANNEL_HINT)


def _unsolvable(complaint: str, question: _Question) -> ResolutionFailed:
    named = [
        spec for spec in question.specs if re.search(rf"(?<![\w-]){re.escape(conda_name(spec))}(?![\w-])", complaint)
    ]
    where = "".join(f"\n  {_place(question.conda, spec)}: {spec}" for spec in named)
    asked = f"\n\nAsked for in:{where}" if where else ""
    channels = ", ".join(map(without_credentials, question.channels))
    first = named[0] if named else "the conda packages"
    return ResolutionFailed(
        f"The conda packages cannot be resolved with the channels {channels}.\n{complaint.strip()}{asked}",
        hint=f"Change {first!r}, add a channel that has it, or move it under 'pip:' if it is a Python package.",
    )

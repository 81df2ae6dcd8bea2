"""Makes small wheels, and definitions that take them from a folder: no index is asked."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, PythonSection


class RecordedProgress:
    """Keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def amount(self, label: str, done: int, total: int) -> None:
        return None


def make_wheel(
    folder: Path, name: str, version: str, *, requires: Sequence[str] = (), value: int = 1, python: str = ">=3.6"
) -> Path:
    """A wheel with one module that holds ``VALUE``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    needs = f"Requires-Python: {python}\n" + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    content = {
        f"{name}.py": f"VALUE = {value}\nVERSION = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*content, f"{name}-{version}.dist-info/RECORD"])
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in {**content, f"{name}-{version}.dist-info/RECORD": record}.items():
            archive.writestr(path, text)
    return file


def definition(
    pip: Sequence[str] = (), *, packages: Sequence[str] = (), channels: Sequence[str] = (), source: Path | None = None
) -> EnvironmentDefinition:
    """An environment with those packages."""
    conda = CondaSpecification(
        channels=tuple(channels), packages=tuple(packages), pip=tuple(pip), source=str(source) if source else None
    )
    return EnvironmentDefinition(name="tested", python=PythonSection(conda=conda))


def from_wheels(folder: Path, *pip: str, source: Path | None = None) -> EnvironmentDefinition:
    """An environment of the running Python whose packages are in the folder, and nowhere else."""
    return definition(["--no-index", f"--find-links {folder}", *pip], source=source)

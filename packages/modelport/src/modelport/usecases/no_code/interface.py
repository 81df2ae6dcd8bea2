"""What is known of a framework: which files are its models, and what a service of one needs.

One module a framework. Each reads the model's files without running anything of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from modelport.domain.errors import WebserviceException


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """The files of a model version on this machine, and what was said of it when it was registered."""

    id: str
    folder: Path
    """The folder that is ``AZUREML_MODEL_DIR`` in the service."""
    entry: str
    """The one file or folder in it."""
    framework_version: str | None = None
    sample_input: object = None
    """The sample input, where it is JSON."""
    wants_gpu: bool = False

    @property
    def path(self) -> Path:
        return self.folder / self.entry

    @property
    def files(self) -> list[Path]:
        """Every file, in a fixed order."""
        return [self.path] if self.path.is_file() else sorted(path for path in self.path.rglob("*") if path.is_file())

    def relative(self, path: Path) -> str:
        """The path as the service has it below ``AZUREML_MODEL_DIR``."""
        return path.relative_to(self.folder).as_posix()


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """The packages that a service needs around the model."""

    pip: tuple[str, ...]
    """Lines of a pip list."""
    decisive: str | None = None
    """The requirement whose wheels decide which Python it can be; None where ``python`` says it, or any will do."""
    python: str | None = None
    """The Python that the model asks for itself, for example ``3.9.7``."""
    conda_channels: tuple[str, ...] = ()
    conda_packages: tuple[str, ...] = ()
    """Conda packages besides Python and pip."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a model is served without code of the user's."""

    framework: str
    summary: str
    """What the model is, for people: ``scikit-learn 1.5.2, Ridge``."""
    script: str
    """Which of the entry scripts in ``served/`` serves it."""
    facts: Mapping[str, Any]
    """What the script needs to know of the model, as JSON: ``model.json``."""
    requirements: Requirements
    by_rows: bool = True
    """Whether the model predicts each row by itself, so that requests may be scored together."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know."""


class Framework(Protocol):
    """One framework."""

    name: str
    """Its value of ``Model.Framework``."""

    def recognises(self, model: ModelFolder) -> bool:
        """Whether the files look like a model of the framework, so that it need not be named."""

    def plan(self, model: ModelFolder) -> Plan:
        """How to serve the model. Raises WebserviceException that says what the files are instead."""


def refused(model: ModelFolder, why: str, *, hint: str) -> WebserviceException:
    """The error for files that are not what they were registered as."""
    return WebserviceException(f"The model {model.id} cannot be deployed without an entry script: {why}", hint=hint)


def only_file(model: ModelFolder, suffixes: tuple[str, ...], *, what: str) -> Path:
    """The one file that is meant: the model's own, or the only one of those suffixes in its folder."""
    files = model.files
    if len(files) == 1:
        return files[0]
    fitting = [path for path in files if path.suffix.lower() in suffixes]
    if len(fitting) == 1:
        return fitting[0]
    found = ", ".join(model.relative(path) for path in files[:10]) + (", …" if len(files) > 10 else "")
    raise refused(
        model,
        f"it has {len(fitting)} files that could be {what}. It holds: {found}.",
        hint=f"Register the folder or file with exactly one ({', '.join(suffixes)}).",
    )


def looks_like(path: Path) -> str:
    """What kind of file it is, by its first bytes, for messages."""
    with path.open("rb") as file:
        start = file.read(256)
    for magic, what in _MAGIC:
        if start.startswith(magic):
            return what
    if not start:
        return "an empty file"
    if start.lstrip()[:1] in (b"{", b"["):
        return "JSON"
    is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in start)
    return "a text file" if is_text else "of a kind that is not known here"


_MAGIC = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"tree\n", "a LightGBM text file"),
    (b"binf", "an XGBoost binary file"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ", "compressed by xz"),
    (b"\x04\x22\x4d\x18", "compressed by LZ4"),
    (b"\x78", "compressed by zlib"),
)

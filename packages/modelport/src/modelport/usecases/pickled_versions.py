"""Which scikit-learn wrote a pickle, without loading it.

Estimators put ``_sklearn_version`` into their state. In the pickle that is a string opcode with the key, perhaps a
memo opcode, and a string opcode with the value; joblib files hold raw arrays between their opcodes, so the bytes are
searched rather than disassembled. Nothing of the file is executed.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modelport.domain.environments import EnvironmentKind, Lock

_KEY = rb"_sklearn_version"
_MEMO = rb"(?:q.|r.{4}|\x94|p\d+\n)?"
_VALUE = rb"(?:X(?P<long>.{4})|\x8c(?P<short>.)|U(?P<older>.)|V)(?P<version>[0-9]+(?:\.[0-9a-z]+)+)"
_PATTERN = re.compile(_KEY + rb"\n?" + _MEMO + _VALUE, re.DOTALL)
_SEARCHED = 1024 * 1024
"""Bytes at each end of a file that are searched: an estimator's version is the last item of its state."""


def pickled_with(path: Path) -> str:
    """The version, or an empty text where the file does not tell or is compressed."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            last = max(0, len(content) - _SEARCHED)
            found = _PATTERN.search(content, 0, _SEARCHED) or _PATTERN.search(content, last)
            return _version_of(found) if found else ""
    except (OSError, ValueError):  # an empty file cannot be mapped
        return ""


def _version_of(found: re.Match[bytes]) -> str:
    """The text, by the length that stands before it: the next opcode may be a letter too. Protocol 0 ends its line."""
    length = found["long"] or found["short"] or found["older"]
    end = int.from_bytes(length, "little") if length else None
    return found["version"][:end].decode("ascii")


def holds_old_joblib(path: Path) -> bool:
    """Whether the joblib that scikit-learn had inside until 0.20 wrote the file: joblib itself cannot read it there."""
    return _holds(path, b"sklearn.externals.joblib")


def holds_arrays_of_joblib(path: Path) -> bool:
    """Whether joblib wrote arrays into the file as they lie in memory, between the opcodes: pickle cannot read it."""
    return _holds(path, b"NumpyArrayWrapper")


def _holds(path: Path, name: bytes) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(name) >= 0
    except (OSError, ValueError):
        return False


def has_scikit_learn(interpreter: Path, version: str) -> bool:
    """Whether that scikit-learn lies beside the interpreter; no, where it cannot be told from here."""
    packages = interpreter.parent.parent.glob(f"lib/python*/*-packages/scikit_learn-{version}.dist-info")
    return next(packages, None) is not None


def installed_scikit_learn(lock: Lock, *, is_own: bool) -> str:
    """The scikit-learn of an environment, by its lock; empty where there is none, or it cannot be told from here.

    ``is_own``: the environment is the interpreter that runs us.
    """
    if lock.kind is EnvironmentKind.SYSTEM:
        return own_scikit_learn() if is_own else ""
    found = re.search(r"^\W*scikit-learn[= ]=?([0-9][0-9a-z.]*)", lock.text, re.MULTILINE)
    return found[1] if found else ""


def own_scikit_learn() -> str:
    """The scikit-learn of the interpreter that runs us; empty where it has none."""
    try:
        return version("scikit-learn")
    except PackageNotFoundError:
        return ""


def written_by_others(folder: Path, installed: str) -> Iterator[str]:
    """A sentence for each model file below a bundle's folder that another scikit-learn wrote."""
    if not installed:
        return
    for path in sorted(folder.glob("azureml-models/**/*")):
        writer = pickled_with(path) if path.is_file() else ""
        if writer and writer != installed:
            yield (
                f"Warning: {path.name} was written by scikit-learn {writer} and will be read by {installed}: it may "
                "fail to load or predict something else."
            )

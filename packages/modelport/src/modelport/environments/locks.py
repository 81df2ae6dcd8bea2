"""Makes locks: what two definitions must share to share an interpreter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from modelport.domain.environments import EnvironmentKind, Lock
from modelport.environments.probe import FoundPython


def make_lock(kind: EnvironmentKind, python: FoundPython, *, text: str = "", notes: Iterable[str] = ()) -> Lock:
    """A lock. Its digest is the SHA-256 of kind, interpreter and text; a conda lock's text names its Python."""
    interpreter = "" if kind is EnvironmentKind.CONDA else f"{python.path}\n{python.version}"
    return Lock(
        kind=kind,
        digest=sha256_of(kind.value, interpreter, text),
        text=text,
        python=python.path,
        python_version=python.version,
        notes=tuple(notes),
    )


def sha256_of(*parts: object) -> str:
    """SHA-256, hexadecimal, of the parts; where one ends and the next begins counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

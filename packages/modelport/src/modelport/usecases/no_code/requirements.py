"""Which packages a framework needs in a version, beside what it says itself.

A release cannot exclude what was released after it. The bounds here are what each line of releases was built with and
breaks without: the packages' own histories are the source.
"""

from __future__ import annotations

import re

from modelport.usecases.no_code.interface import ModelFolder

BASE = ("inference-schema", "numpy", "orjson; python_version >= '3.8'")
"""Of every service: the schema of the entry script, arrays, and quick JSON."""

_Bounds = tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]

_SCIKIT_LEARN: _Bounds = (
    ((0, 22), ("numpy<1.20", "scipy<1.6", "pandas<1.2")),
    ((0, 24), ("numpy<1.20", "scipy<1.6", "pandas<1.3")),
    ((1, 0), ("numpy<1.22", "scipy<1.8")),
    ((1, 1), ("numpy<1.23", "scipy<1.9")),
    ((1, 2), ("numpy<1.24", "scipy<1.10")),
    ((1, 3), ("numpy<1.25", "scipy<1.11")),
    ((1, 4), ("numpy<2", "scipy<1.12")),
    ((1, 5), ("numpy<2", "scipy<1.14")),
)
"""Up to a version: NumPy 2 is another binary interface, and SciPy removed what releases before import."""

_TENSORFLOW: _Bounds = (
    ((2, 0), ("numpy<1.20", "protobuf<3.21")),
    ((2, 10), ("numpy<1.24", "protobuf<3.20")),
    ((2, 12), ("numpy<2", "protobuf<3.20")),
    ((2, 18), ("numpy<2",)),
)
"""Up to a version: protobuf 3.21 refuses the code that was generated before it."""

_XGBOOST: _Bounds = (((1, 6), ("numpy<1.24", "scipy<1.10")), ((2, 0), ("numpy<2", "scipy<1.14")))
_LIGHTGBM: _Bounds = (((3, 3), ("numpy<1.24", "scipy<1.10")), ((4, 4), ("numpy<2", "scipy<1.14")))
_TORCH: _Bounds = (((1, 12), ("numpy<1.24",)), ((2, 3), ("numpy<2",)))
_TABLES = {
    "scikit-learn": _SCIKIT_LEARN,
    "tensorflow": _TENSORFLOW,
    "tensorflow-cpu": _TENSORFLOW,
    "xgboost": _XGBOOST,
    "xgboost-cpu": _XGBOOST,
    "lightgbm": _LIGHTGBM,
    "torch": _TORCH,
}


def pinned(package: str, version: str | None) -> str:
    """The requirement for a version; one of fewer than three numbers means any release of that line."""
    if not version:
        return package
    numbers = numbers_of(version)
    return f"{package}=={version}" + (".*" if len(numbers) < 3 and re.fullmatch(r"[\d.]+", version) else "")


def bounds(package: str, version: str | None) -> tuple[str, ...]:
    """What must go with that version of the package."""
    if not version:
        return ()
    found = numbers_of(version)
    return next((limits for before, limits in _TABLES.get(package, ()) if found < before), ())


def numbers_of(version: str) -> tuple[int, ...]:
    """``1.5.2rc1`` as (1, 5, 2)."""
    parts = []
    for part in version.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        parts.append(int(digits[0]))
    return tuple(parts)


def agreed_version(model: ModelFolder, found: str | None, *, package: str) -> tuple[str | None, tuple[str, ...]]:
    """The version to take, and what the user should know of the choice: what was registered counts before the file."""
    asked = model.framework_version
    if not asked:
        return found or None, ()
    if not found or found == asked or found.startswith(f"{asked}."):
        return found or asked, ()
    note = f"{model.id} was written by {package} {found} and is served with {asked}, as model_framework_version says."
    return asked, (note,)


def only_wheels(*packages: str) -> tuple[str, ...]:
    """Lines that keep the installer from building these packages."""
    return tuple(f"--only-binary {package}" for package in packages)

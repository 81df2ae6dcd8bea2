"""Environments by the names of v1's curated ones (``AzureML-…``), made of what the name says.

What exactly the vendor put into each of them is not published in a form that could be had from here. A name says the
framework, its version and the Python; the rest is what those frameworks are used with. Sources: the public lists of
curated environments of 2020 and 2021.
"""

from __future__ import annotations

import re

from modelport.domain.environments import CondaSpecification

PREFIX = "azureml-"

_PYTHON = re.compile(r"(?:^|-)py(\d)(\d+)(?:-|$)")
_PACKAGES = {
    "scikit-learn": ("scikit-learn",),
    "sklearn": ("scikit-learn",),
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow",),
    "xgboost": ("xgboost", "scikit-learn"),
    "lightgbm": ("lightgbm", "scikit-learn"),
    "onnxruntime": ("onnxruntime",),
    "minimal": (),
    "tutorial": ("scikit-learn", "matplotlib"),
}
"""By what the name begins with: the package whose version it has first."""

_NAME = re.compile(rf"{PREFIX}(?P<framework>{'|'.join(_PACKAGES)})(?:-(?P<version>\d+(?:\.\d+)+))?(?P<rest>-.*)?")
_WITH_A_FRAMEWORK = ("numpy", "pandas", "joblib", "inference-schema[numpy-support]")
_DEFAULTS = ("azureml-defaults",)


def curated_conda(name: str, *, default_python: str) -> CondaSpecification | None:
    """What an environment of that name needs; None where the name is not one of those that are known."""
    match = _NAME.fullmatch(name.lower())
    if match is None:
        return None
    packages = list(_PACKAGES[match["framework"]])
    if match["version"] and packages:
        packages[0] += f"=={_exact(match['version'])}"
    python = _PYTHON.search(match["rest"] or "")
    return CondaSpecification(
        name=name,
        packages=(f"python={f'{python[1]}.{python[2]}' if python else default_python}",),
        pip=(*_DEFAULTS, *packages, *(_WITH_A_FRAMEWORK if packages else ())),
    )


def _exact(version: str) -> str:
    """``0.24`` means any release of it, ``0.20.3`` that one."""
    return version if version.count(".") > 1 else f"{version}.*"

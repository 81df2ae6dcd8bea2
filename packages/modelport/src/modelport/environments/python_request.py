"""Which Python a conda specification asks for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import EnvironmentException

_SPECIFICATION = re.compile(r"^\s*(?:[^:\s]+::)?([A-Za-z0-9_.-]+)\s*(.*?)\s*$", re.DOTALL)
_CLAUSE = re.compile(r"(===|==|~=|>=|<=|!=|=|>|<|)\s*(\d+(?:\.(?:\d+|\*))*[a-z0-9]*)(=[^=,\s]*|\s+\S+)?")
_HINT = "Write it as python=3.8, or as a range such as python>=3.8,<3.11."


@dataclass(frozen=True)
class PythonRequest:
    """A Python that is asked for."""

    written: str
    """As the user wrote it."""
    wanted: str | None
    """For uv: ``3.8``, ``3.6.2`` or ``>=3.8,<3.11``; None for any."""
    minor: str | None = None
    """``3.6`` where ``3.6.2`` is wanted: another patch release of it serves too."""


def conda_name(specification: str) -> str:
    """The package's name in a conda match specification such as ``conda-forge::python >=3.8``."""
    match = _SPECIFICATION.match(specification)
    return match[1].lower() if match else specification


def requested_python(packages: Iterable[str]) -> PythonRequest:
    """What the conda packages say of Python. Raises EnvironmentException where it cannot be understood."""
    for package in packages:
        match = _SPECIFICATION.match(package)
        if match and match[1].lower() == "python":
            return _request(package.strip(), match[2])
    return PythonRequest("python", None)


def _request(written: str, rest: str) -> PythonRequest:
    if rest.startswith("["):
        rest = "".join(re.findall(r"version\s*=\s*['\"]?([^'\"\]]+)", rest))
    clauses = [_CLAUSE.fullmatch(part.strip()) for part in rest.split(",")] if rest else []
    parts = [(match[1], match[2]) for match in clauses if match]
    if len(parts) != len(clauses):
        raise EnvironmentException(f"The Python that {written!r} asks for is not understood.", hint=_HINT)
    if len(parts) == 1 and parts[0][0] in ("", "=", "=="):
        return _exact(written, parts[0][1].removesuffix(".*"))
    return PythonRequest(written, ",".join(map(_range_clause, parts)) or None)


def _exact(written: str, version: str) -> PythonRequest:
    numbers = version.split(".")
    return PythonRequest(written, version, ".".join(numbers[:2]) if len(numbers) > 2 else None)


def _range_clause(part: tuple[str, str]) -> str:
    operator, version = part
    if operator in ("", "="):
        return f"=={version.removesuffix('.*')}.*"
    return operator + version


def may_have_newer_syntax(definition: EnvironmentDefinition | None) -> bool:
    """Whether scripts of the environment may be right in a syntax that the Python that runs us does not know."""
    if definition is None:
        return False
    python = definition.python
    if python.user_managed_dependencies:
        return python.interpreter_path != "python"
    wanted = requested_python(python.conda.packages if python.conda else ()).wanted
    exact = re.fullmatch(r"(\d+)\.(\d+).*", wanted or "")
    if exact is None:
        return wanted is not None and not wanted.isdigit()
    return (int(exact[1]), int(exact[2])) > sys.version_info[:2]

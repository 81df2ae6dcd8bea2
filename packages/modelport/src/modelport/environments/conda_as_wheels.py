"""Reads conda packages as pip requirements, for machines that reach a package index and no conda channel.

Source of the format: conda's documentation, "Package match specifications". ``numpy=1.15`` is any 1.15, ``==1.15``
that version alone; pip writes ``==1.15.*`` and ``==1.15``. The build string of a specification means nothing to pip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelport.domain.environments import CondaSpecification
from modelport.environments.azureml_packages import is_azureml
from modelport.environments.conda_names import is_in_wheels, on_pypi
from modelport.environments.python_request import conda_name
from modelport.environments.requirement_lines import RequirementLine, normalised, package_name
from modelport.environments.specification import place_of

_NOT_PACKAGES = frozenset({"python", "pip"})
"""The interpreter, and the tool that reads the pip list."""
_REST = re.compile(r"^\s*(?:\S+::)?[A-Za-z0-9_.-]+\s*(.*?)\s*$", re.DOTALL)
_CLAUSE = re.compile(r"(===|==|~=|>=|<=|!=|=|>|<|)\s*(\d[A-Za-z0-9.+!_]*?)(\.?\*)?(?:=[^=,\s]*|\s+[^=,\s<>!~|]+)?")


@dataclass(frozen=True, kw_only=True)
class AsWheels:
    """The conda packages of a specification as pip requirements."""

    lines: tuple[RequirementLine, ...]
    notes: tuple[str, ...]
    unknown: tuple[str, ...]
    """Specifications that have no counterpart on PyPI that is known, as they were written."""


def as_wheels(conda: CondaSpecification) -> AsWheels:
    """Every conda package but ``python`` and ``pip`` as a requirement line.

    What the pip list asks for too is left to that list: pip would have replaced conda's package.
    """
    lines, notes, unknown = [], [], []
    listed = {package_name(entry) for entry in conda.pip}
    for spec in conda.packages:
        name = conda_name(spec)
        if name in _NOT_PACKAGES or is_azureml(normalised(name)):
            continue
        if is_in_wheels(name):
            notes.append(f"{spec} is not installed: wheels carry the libraries that they need.")
            continue
        requirement = _requirement(spec, name)
        if requirement is None:
            unknown.append(spec)
        elif package_name(requirement) not in listed:
            lines.append(_line(conda, spec, requirement))
    return AsWheels(lines=tuple(lines), notes=tuple(notes), unknown=tuple(unknown))


def taken_as_wheels(lines: tuple[RequirementLine, ...]) -> str:
    """The note that says which conda packages come as which wheels."""
    return "Taken from the package index instead of a conda channel: " + ", ".join(
        line.written if line.written == line.text else f"{line.written} as {line.text}" for line in lines
    )


def _requirement(spec: str, name: str) -> str | None:
    known = on_pypi(name)
    found = _REST.match(spec)
    if known is None or found is None:
        return None
    rest = found[1]
    if rest.startswith("["):
        rest = "".join(re.findall(r"version\s*=\s*['\"]?([^'\"\]]+)", rest))
    if rest in ("", "*"):
        return known
    clauses = [_CLAUSE.fullmatch(part.strip()) for part in rest.split(",")]
    parts = [clause for clause in clauses if clause]
    return known + ",".join(_clauses(parts)) if len(parts) == len(clauses) else None


def _clauses(parts: list[re.Match[str]]) -> Iterator[str]:
    for operator, version, star in (part.groups() for part in parts):
        if operator in ("", "="):
            # "numpy 1.15.4", as conda list prints it, is that version; "numpy=1.15" is any of that series
            exact = operator == "" and not star
            yield f"=={version}" if exact else f"=={version}.*"
        else:
            yield f"{operator}{version}{'.*' if star and operator in ('==', '!=') else ''}"


def _line(conda: CondaSpecification, spec: str, requirement: str) -> RequirementLine:
    place = place_of(conda, spec)
    return RequirementLine(text=requirement, written=spec, place=place, name=package_name(requirement))

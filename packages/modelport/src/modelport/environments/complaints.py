"""Turns what uv says into errors that lead back to what the user wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.environments.azureml_packages import OF_OLD_SERVER
from modelport.environments.requirement_lines import RequirementLine, normalised
from modelport.environments.spelling import did_you_mean, nearest_on_pypi
from modelport.environments.uv import without_credentials

_URL = re.compile(r"(?:Failed to fetch:?|for url|error sending request for url)\s*[`(]?(\w+://[^\s`)]+)")
_UNREACHABLE = re.compile(
    r"tcp connect error|dns error|timed out|error sending request|Request failed|Connection refused|certificate|"
    r"\b(?:401|403|407|5\d\d) [A-Z]|client error \(Connect\)"
)
_INDEX_HINT = (
    "Check the network. Another index is named by index-url in pip's configuration (or PIP_INDEX_URL), or by "
    "UV_DEFAULT_INDEX; a proxy by HTTPS_PROXY; a private certificate authority by cert in pip's configuration, or by "
    "SSL_CERT_FILE."
)
_OTHER_PYTHON = re.compile(r"Python version|(?:depends on|requires) Python|Python implementation tag|Python ABI tag")
_AT_LINE = re.compile(r"requirements\.txt[^:\n]*:(\d+):\d+")
_AT_POSITION = re.compile(r"requirements\.txt` at position (\d+)")


def resolution_failed(complaint: str, lines: Sequence[RequirementLine], *, python_version: str) -> ResolutionFailed:
    """The error for a resolution that failed: the resolver's own words, file and line, and what to change."""
    unreachable = index_unreachable(complaint)
    if unreachable:
        return unreachable
    blamed = _blamed(complaint, lines)
    where = "".join(f"\n  {line.place}: {line.shown}" for line in blamed)
    asked = f"\n\nAsked for in:{where}" if where else ""
    message = f"The pip requirements cannot be resolved for Python {python_version}.\n{complaint}{asked}"
    return ResolutionFailed(message, hint=_advice(complaint, blamed, python_version))


def installation_failed(complaint: str) -> EnvironmentException:
    """The error for packages that were resolved and cannot be installed."""
    unreachable = index_unreachable(complaint)
    if unreachable:
        return unreachable
    needless = next((name for name in _failed_builds(complaint) if name in OF_OLD_SERVER), None)
    if needless:
        hint = f"Leave {needless} out: v1's scoring server, which it was for, is not in this environment."
        return EnvironmentException(f"{needless} cannot be built.\n{complaint}", hint=hint)
    if "Hash mismatch" in complaint:
        hint = (
            "The index has another file than the one whose hash the requirement names: do not trust it, or correct it."
        )
        return EnvironmentException(f"A package is not the one that was asked for.\n{complaint}", hint=hint)
    hint = "If a package has to be built, install what its build needs, or ask for a version that has a wheel."
    return EnvironmentException(f"The packages of the environment cannot be installed.\n{complaint}", hint=hint)


def index_unreachable(complaint: str) -> ResolutionFailed | None:
    """The error for an index or a host that does not answer; None where that is not what uv complains about."""
    url = _URL.search(complaint)
    if url is None or not _UNREACHABLE.search(complaint):
        return None
    parts = urlsplit(url[1])
    host = parts.netloc.rpartition("@")[2]
    message = f"The package index at {parts.scheme}://{host} cannot be reached ({url[1]}).\n{complaint}"
    return ResolutionFailed(message, hint=_INDEX_HINT)


def _failed_builds(complaint: str) -> list[str]:
    return [normalised(name) for name in re.findall(r"Failed to build `?([A-Za-z0-9][\w.-]*)", complaint)]


def cannot_be_had(complaint: str, lines: Sequence[RequirementLine]) -> list[RequirementLine]:
    """The lines whose packages the resolver blames; none where it could not ask, or could not read a line."""
    if index_unreachable(complaint) or _pointed_at(complaint, lines):
        return []
    return _blamed(complaint, lines)


def _blamed(complaint: str, lines: Sequence[RequirementLine]) -> list[RequirementLine]:
    """The lines at fault, as far as uv's words tell."""
    at = _pointed_at(complaint, lines)
    if at:
        return [at]
    required = {normalised(name) for name in re.findall(r"(?:require|and) ([A-Za-z0-9][\w.-]*)", complaint)}
    blamed = [line for line in lines if line.name and line.name in required]
    return blamed or [line for line in lines if _mentioned(line, complaint)]


def _pointed_at(complaint: str, lines: Sequence[RequirementLine]) -> RequirementLine | None:
    number = _AT_LINE.search(complaint)
    if number and 0 < int(number[1]) <= len(lines):
        return lines[int(number[1]) - 1]
    position = _AT_POSITION.search(complaint)
    if position is None:
        return None
    start = 0
    for line in lines:
        start += len(line.text.encode()) + 1
        if int(position[1]) < start:
            return line
    return None


def _mentioned(line: RequirementLine, complaint: str) -> bool:
    names = {line.name, line.local and Path(line.local).name}
    if any(name and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", complaint) for name in names):
        return True
    return without_credentials(line.text) in complaint


def _advice(complaint: str, blamed: Sequence[RequirementLine], python_version: str) -> str:
    first = f"{blamed[0].shown!r} ({blamed[0].place})" if blamed else "the requirement that is named above"
    if "not found in the package registry" in complaint or "not found in the provided" in complaint:
        private = "If it is in a private index, name that by extra-index-url in pip's configuration."
        meant = nearest_on_pypi(blamed[0].name) if blamed and blamed[0].name else None
        return f"Check the spelling of {first}.{did_you_mean(meant)} {private}"
    if "Couldn't parse" in complaint or "Unexpected" in complaint or "is invalid" in complaint:
        return f"Correct {first}; a requirement looks like name==1.2.3."
    if "Failed to build" in complaint:
        return f"Install what its build needs, or change {first} to a version with a wheel for Python {python_version}."
    if _OTHER_PYTHON.search(complaint):
        return f"Ask for another Python than {python_version}, or change {first} to a version that runs on it."
    if len(blamed) > 1:
        others = ", ".join(f"{line.shown!r} ({line.place})" for line in blamed[1:])
        return f"These exclude each other: {first}, {others}. Loosen one of them."
    return f"Change {first} to a version that exists, or leave its version out."

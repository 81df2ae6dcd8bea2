"""The versions of what the scoring server needs, as they are installed here and were tested together."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

from modelport.environments.requirement_lines import normalised
from modelport.packages.wheels import SERVER

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def server_constraints() -> list[str]:
    """``name==version`` for each package that the scoring server needs, directly or not, but for our own."""
    found: dict[str, str] = {}
    _collect("modelport-scoring", found)
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in SERVER]


def _collect(name: str, found: dict[str, str]) -> None:
    if name in found:
        return
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return  # only needed on other systems, or by an extra: whoever installs there finds a version
    found[name] = installed.version
    for requirement in installed.requires or ():
        needed = _NAME.match(requirement)
        if needed and "extra ==" not in requirement:
            _collect(normalised(needed[0]), found)

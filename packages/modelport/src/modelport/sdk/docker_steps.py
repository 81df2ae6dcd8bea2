"""What the Docker steps of a v1 image install with pip: the only steps that mean something where no image is built."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from modelport.environments.requirement_lines import package_name
from modelport.environments.specification import read_text

_RUN_PIP = re.compile(r"^\s*RUN\s+(?:python3?\s+-m\s+)?pip3?\s+install\s+([^&|;\\$`]+)$", re.IGNORECASE)
_MEANS_NOTHING = frozenset({"--no-cache-dir", "--quiet", "--upgrade", "-U", "-q"})


def pip_requirements(docker_file: Path) -> list[str]:
    """The packages of every ``RUN pip install name name==1.2``; lines that say more than that are passed over.

    Raises FileNotFoundError, and UserErrorException where the file cannot be read.
    """
    found = (_RUN_PIP.match(line) for line in read_text(docker_file).splitlines())
    return [package for line in found if line for package in _packages(line[1])]


def _packages(arguments: str) -> list[str]:
    try:
        words = [word for word in shlex.split(arguments) if word not in _MEANS_NOTHING]
    except ValueError:  # a quotation that does not end
        return []
    return words if all(package_name(word) is not None for word in words) else []

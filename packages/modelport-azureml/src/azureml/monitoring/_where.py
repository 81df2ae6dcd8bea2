"""Whose rows they are, and so in which folder they belong."""

import datetime as dt
import os
import re
from typing import List, NamedTuple, Tuple

from azureml._served_model import versions_beside

FOLDER = "AZUREML_MODEL_DATA_DIR"
"""The variable that names the root: in a service it is set by what runs the service."""
WORKSPACE = "AZUREML_MODEL_DATA_WORKSPACE"
"""The variable that says whose service this is: subscription, resource group and workspace, with slashes between."""

_UNSAFE = re.compile(r"[^\w. ()-]")
_DEFAULT = "default"


class Place(NamedTuple):
    """By their names in v1."""

    subscription: str
    resource_group: str
    workspace: str
    service: str
    model: str
    version: str

    def folder(self, designation: str) -> str:
        """Relative, without the date."""
        return os.path.join(*[self.component(part) for part in (*self, designation)])

    @staticmethod
    def component(text: str) -> str:
        """The text as the name of a folder or a file."""
        safe = _UNSAFE.sub("_", str(text)).strip()
        return safe if safe.strip(".") else _DEFAULT


def place_of(model: str, workspace: str, service: str, version: str) -> Place:
    """What is left at ``default`` is that of the service which this process is a worker of."""
    subscription, group, name = _three(workspace if set(_three(workspace)) != {_DEFAULT} else _own_workspace())
    return Place(
        subscription,
        group,
        name,
        os.environ.get("SERVICE_NAME") or _DEFAULT if service == _DEFAULT else service,
        model,
        _own_version(model) if version == _DEFAULT else version,
    )


def model_data_folder() -> str:
    return os.environ.get(FOLDER, "")


def boundary_minutes() -> int:
    """How long a file is written to: a day, or, where AML_MODEL_DC_BOUNDARY says so, an hour."""
    return 60 if os.environ.get("AML_MODEL_DC_BOUNDARY", "").strip().lower() == "hour" else 1440


def boundary_folders(now: dt.datetime) -> str:
    """Year, month and day of the moment, and the hour where files are of hours."""
    parts = ["%Y", "%m", "%d"] + (["%H"] if boundary_minutes() == 60 else [])
    return now.strftime(os.path.join(*parts))


def _own_workspace() -> str:
    return os.environ.get(WORKSPACE) or "/".join((_DEFAULT, _DEFAULT, os.environ.get("WORKSPACE_NAME") or _DEFAULT))


def _three(workspace: str) -> Tuple[str, str, str]:
    parts: List[str] = [part.strip() or _DEFAULT for part in str(workspace).split("/")][-3:]
    return tuple([_DEFAULT] * (3 - len(parts)) + parts)  # type: ignore[return-value]


def _own_version(model: str) -> str:
    """The version of the service's model of that name, or of its only one: scripts give the model other names here."""
    known = versions_beside()
    versions = known.get(model) or (next(iter(known.values())) if len(known) == 1 else [])
    return str(max(versions)) if versions else _DEFAULT

"""The groups of commands of ``az ml``, each a module of this package that is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from modelport.cli.lazy import LazyGroup

PROGRAM = "az-ml"


class AzGroup(LazyGroup):
    """The root of ``az-ml``."""

    package: ClassVar[str] = "modelport.cli.azure"
    members: ClassVar[Mapping[str, str]] = {
        "model": "Register, list, download, change, delete, deploy and package models.",
        "service": "Use and change the services that were deployed.",
        "endpoint": "Endpoints with versions that share the requests.",
        "computetarget": "Compute targets: names that are kept; what is sent to them runs on this machine.",
        "environment": "Write, register, list and download environments.",
        "workspace": "Create, list, show, change and delete workspaces.",
        "run": "Submit scripts as runs of experiments, and look at them.",
        "experiment": "List experiments.",
        "datastore": "Datastores: folders of the workspace.",
        "dataset": "Registered data sets: list, show and unregister them.",
        "folder": "Attach a folder to a workspace, so that commands in it need no --workspace-name.",
    }

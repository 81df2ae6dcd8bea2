"""Datastores: folders of the workspace, and what was said of them (azureml-v1 reference, 2.12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.domain.workspaces import WorkspaceRecord
from modelport.usecases.context import Context
from modelport.usecases.register_model import current_user

KIND = "datastore"
DEFAULTS = "default"
"""The kind of the assets that say which thing of its kind is taken where none is named."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,254}")
_BUILT_IN = {"workspaceblobstore": "AzureBlob", "workspacefilestore": "AzureFile"}
"""What every workspace has, as in v1: the first is the default."""


MODEL_DATA = "modeldata"
"""The blob container of v1 that held what scripts collect (azureml-v1 reference, 11): here, a folder of the default
datastore. A datastore that is registered for a container of that name has that folder."""


def model_data_folder(workspace_folder: Path) -> Path:
    """Where the workspace keeps what scripts collect."""
    return workspace_folder / "datastores" / next(iter(_BUILT_IN)) / MODEL_DATA


def path_of_workspace(record: WorkspaceRecord) -> str:
    """Subscription, resource group and name, as the paths of collected data begin; what was not said is ``default``."""
    return "/".join((record.subscription_id or "default", record.resource_group or "default", record.name))


def datastores(context: Context) -> list[dict[str, Any]]:
    """Every datastore: ``name``, ``type``, ``folder``, ``is_default``, ``created_by`` and ``details``."""
    default = _default_name(context)
    recorded = {asset.name: asset for asset in context.registry.assets(KIND, latest=True)}
    found = [_described(context, name, kind, default) for name, kind in _BUILT_IN.items() if name not in recorded]
    for asset in recorded.values():
        body = asset.body
        found.append(_described(context, asset.name, body["type"], default, body["details"], asset.created_by))
    return found


def datastore(context: Context, name: str | None) -> dict[str, Any]:
    """The one of that name, or the default one. Raises UserErrorException, saying what there is."""
    wanted = name or _default_name(context)
    known = datastores(context)
    for each in known:
        if each["name"] == wanted:
            return each
    raise UserErrorException(
        f"Unable to find a datastore with name {wanted!r} in the workspace {context.record.name!r}.",
        hint=f"It has: {', '.join(each['name'] for each in known)}.",
    )


def register_datastore(
    context: Context, *, name: str, type: str, details: Mapping[str, Any], overwrite: bool
) -> dict[str, Any]:
    """Record it. Raises UserErrorException for a name that is not allowed, or taken by another one and not
    ``overwrite``."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserErrorException(f"Invalid datastore name {name!r}: it may hold letters, digits and '_'.")
    if name in _BUILT_IN:
        raise UserErrorException(
            f"The datastore {name!r} is one that every workspace has.", hint="Choose another name."
        )
    body = {"type": type, "details": dict(details)}
    there = context.registry.asset(KIND, name)
    if there is None:
        context.registry.add_asset(KIND, name, body, created_by=current_user(), unique=True)
    elif overwrite:
        context.registry.replace_asset(KIND, name, there.version, body)
    elif there.body != body:
        raise UserErrorException(
            f"There is a datastore {name!r} already, with other details.", hint="Use overwrite=True, or another name."
        )
    return datastore(context, name)


def set_default_datastore(context: Context, name: str) -> None:
    """Have it taken where none is named. Raises UserErrorException where there is none of that name."""
    body = {"name": datastore(context, name)["name"]}
    there = context.registry.asset(DEFAULTS, KIND)
    if there is None:
        context.registry.add_asset(DEFAULTS, KIND, body, created_by=current_user())
    else:
        context.registry.replace_asset(DEFAULTS, KIND, there.version, body)


def unregister_datastore(context: Context, name: str) -> None:
    """Forget it; its files stay. Raises UserErrorException for one that every workspace has, or that is not there."""
    if name in _BUILT_IN:
        raise UserErrorException(f"The datastore {name!r} is one that every workspace has: it stays.")
    datastore(context, name)
    if _default_name(context) == name:
        context.registry.delete_asset(DEFAULTS, KIND)
    context.registry.delete_asset(KIND, name)


def _default_name(context: Context) -> str:
    chosen = context.registry.asset(DEFAULTS, KIND)
    return next(iter(_BUILT_IN)) if chosen is None else str(chosen.body["name"])


def _described(
    context: Context,
    name: str,
    kind: str,
    default: str,
    details: Mapping[str, Any] | None = None,
    created_by: str = "",
) -> dict[str, Any]:
    holds_model_data = kind == "AzureBlob" and (details or {}).get("container_name") == MODEL_DATA
    folder = model_data_folder(context.folder) if holds_model_data else context.folder / "datastores" / name
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "name": name,
        "type": kind,
        "folder": str(folder),
        "is_default": name == default,
        "created_by": created_by,
        "details": dict(details) if details is not None else _own_details(context, kind),
    }


def _own_details(context: Context, kind: str) -> dict[str, Any]:
    """What scripts print of the datastores that every workspace has: names that lead nowhere."""
    container = "azureml-blobstore-" if kind == "AzureBlob" else "azureml-filestore-"
    return {
        "container_name": container + context.record.id,
        "account_name": re.sub(r"[^a-z0-9]", "", context.record.name.lower())[:24],
        "protocol": "https",
        "endpoint": "core.windows.net",
    }

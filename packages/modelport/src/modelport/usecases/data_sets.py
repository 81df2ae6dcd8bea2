"""Data sets of a workspace: definitions by their id, and names with versions for them (azureml-v1 reference, 2.12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azureml._data.datasets import id_of
from modelport.domain.assets import Asset
from modelport.domain.errors import ConflictException, UserErrorException
from modelport.usecases.context import Context
from modelport.usecases.register_model import current_user

KIND = "dataset"
DEFINITIONS = "dataset-definition"


def save_dataset(context: Context, definition: Mapping[str, Any]) -> str:
    """Keep the definition; returns its id. The same definition has the same one."""
    name = id_of(dict(definition))
    if context.registry.asset(DEFINITIONS, name) is None:
        try:
            body = {"definition": definition}
            context.registry.add_asset(DEFINITIONS, name, body, created_by=current_user(), unique=True)
        except ConflictException:
            pass  # somebody else kept the same at the same time
    return name


def register_dataset(
    context: Context,
    *,
    name: str,
    definition: Mapping[str, Any],
    description: str | None,
    tags: Mapping[str, str],
    create_new_version: bool,
) -> dict[str, Any]:
    """Give the definition a name. The same definition under the same name stays the version that it is.

    Raises UserErrorException where the name has another definition and not ``create_new_version``.
    """
    if not name or not isinstance(name, str):
        raise UserErrorException("A data set needs a name.")
    body = {"id": save_dataset(context, definition), "description": description, "tags": dict(tags)}
    newest = context.registry.asset(KIND, name)
    if newest is not None and newest.body["id"] == body["id"]:
        return _described(context, newest)
    if newest is not None and not create_new_version:
        raise UserErrorException(
            f'There is already a dataset registered under name "{name}". Specify `create_new_version=True` to register '
            "the dataset as a new version."
        )
    return _described(context, context.registry.add_asset(KIND, name, body, created_by=current_user()))


def datasets(context: Context) -> list[dict[str, Any]]:
    """The newest version of each."""
    return [_described(context, asset) for asset in context.registry.assets(KIND, latest=True)]


def dataset_by_name(context: Context, name: str, version: int | None) -> dict[str, Any]:
    """That version, or the newest. Raises UserErrorException, saying what there is."""
    found = context.registry.asset(KIND, name, version)
    if found is not None:
        return _described(context, found)
    versions = ", ".join(str(asset.version) for asset in context.registry.assets(KIND, name=name))
    if versions:
        raise UserErrorException(f"The data set {name!r} has no version {version}.", hint=f"It has: {versions}.")
    names = ", ".join(asset.name for asset in context.registry.assets(KIND, latest=True))
    raise UserErrorException(
        f"Cannot find dataset registered with name {name!r} in the workspace {context.record.name!r}.",
        hint=f"It has: {names}." if names else "It has none.",
    )


def dataset_by_id(context: Context, id: str) -> dict[str, Any]:
    """By the id of its definition, with the newest name that it is registered under. Raises UserErrorException."""
    named = [asset for asset in context.registry.assets(KIND) if asset.body["id"] == id]
    if named:
        return _described(context, max(named, key=lambda asset: asset.created_time))
    return {"id": id, "definition": _definition(context, id)}


def change_dataset(context: Context, *, name: str, version: int, **changes: Any) -> dict[str, Any]:
    """Replace ``description`` or ``tags``. Raises UserErrorException where there is no such version."""
    dataset_by_name(context, name, version)
    asset = context.registry.asset(KIND, name, version)
    given = {key: value for key, value in changes.items() if value is not None}
    body = {**(asset.body if asset else {}), **given}
    return _described(context, context.registry.replace_asset(KIND, name, version, body))


def unregister_dataset(context: Context, name: str) -> None:
    """Take the name with all versions away; definitions stay, and so do files."""
    context.registry.delete_asset(KIND, name)


def _described(context: Context, asset: Asset) -> dict[str, Any]:
    return {
        "name": asset.name,
        "version": asset.version,
        "definition": _definition(context, asset.body["id"]),
        **asset.body,
    }


def _definition(context: Context, id: str) -> Any:
    kept = context.registry.asset(DEFINITIONS, id)
    if kept is None:
        raise UserErrorException(
            f"Cannot find dataset with id {id!r} in the workspace {context.record.name!r}.",
            hint="dataset.register(workspace, name), or dataset.id of one on a datastore, keeps it.",
        )
    return kept.body["definition"]

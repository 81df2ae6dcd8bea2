"""What one manager applied, read back from an object: its own fields, and none that the cluster or others filled in.

Server-side apply writes down who owns which field (``metadata.managedFields``, fieldsV1). Applying just these again has
the object be as it was, and leaves nothing owned that a later plan would take away by not naming it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def applied_by(manager: str, found: Object) -> dict[str, Any] | None:
    """The manifest that ``manager`` applied the last time, as far as it still is so; None where it never did."""
    for entry in found["metadata"].get("managedFields", ()):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            content: dict[str, Any] = _owned(found, entry["fieldsV1"])
            metadata = {key: found["metadata"][key] for key in ("name", "namespace") if key in found["metadata"]}
            kind = {"apiVersion": found["apiVersion"], "kind": found["kind"]}
            return {**content, **kind, "metadata": {**content.get("metadata", {}), **metadata}}
    return None


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of the value that the fields name; all of it where they name no parts."""
    parts = {name: inner for name, inner in fields.items() if name != "."}
    if not parts:
        return value
    if isinstance(value, Mapping):
        inside = {name.removeprefix("f:"): inner for name, inner in parts.items()}
        return {name: _owned(value[name], inner) for name, inner in inside.items() if name in value}
    return [_owned_item(item, key, inner) for item in value for key, inner in parts.items() if _is_meant(item, key)]


def _owned_item(item: Any, key: str, inner: Mapping[str, Any]) -> Any:
    """An item of a list with what it is known by."""
    if key.startswith("v:"):
        return item
    owned = _owned(item, inner)
    return {**_known_by(key), **owned}


def _is_meant(item: Any, key: str) -> bool:
    if key.startswith("v:"):
        return bool(item == json.loads(key[2:]))
    return isinstance(item, Mapping) and all(item.get(name) == value for name, value in _known_by(key).items())


def _known_by(key: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(key.removeprefix("k:"))
    return known

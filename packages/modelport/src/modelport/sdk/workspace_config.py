"""Finding and writing a workspace's ``config.json`` (azureml-v1 reference: 2.1, 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import UserErrorException

_FOLDERS = (".azureml", "aml_config", ".")
_FILE_NAME = "config.json"
_KEYS = ("subscription_id", "resource_group", "workspace_name")


@dataclass(frozen=True)
class WorkspaceConfig:
    """The three names of a ``config.json``."""

    subscription_id: str
    resource_group: str
    workspace_name: str


def read_config(path: str | None, *, file_name: str | None = None) -> WorkspaceConfig:
    """Read the file ``path``, or search the folder ``path`` (default: the cwd) and the folders above it.

    In each folder ``.azureml/config.json`` comes first, then ``aml_config/config.json``, then ``config.json``. Raises
    UserErrorException where none is found, it is no text or keys are missing; ``json.JSONDecodeError`` where it is no
    JSON, as v1 did.
    """
    file = _find(Path(path or ".").expanduser().absolute(), file_name or _FILE_NAME)
    document = json.loads(_text(file))
    document = _with_scope(document) if isinstance(document, dict) else {}
    missing = [key for key in _KEYS if not document.get(key)]
    if missing:
        raise UserErrorException(
            f"The workspace configuration {file} lacks {', '.join(missing)}.",
            hint='It should be {"subscription_id": "…", "resource_group": "…", "workspace_name": "…"}.',
        )
    return WorkspaceConfig(*(str(document[key]) for key in _KEYS))


def attached_experiment(path: str | None) -> str | None:
    """The experiment that ``az ml folder attach`` wrote into the ``config.json`` (4.1); None where it names none.

    Raises as ``read_config`` does.
    """
    document = json.loads(_text(_find(Path(path or ".").expanduser().absolute(), _FILE_NAME)))
    return _scope(document).get("experiments") if isinstance(document, dict) else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserErrorException(
            f"The workspace configuration {file} is not a text in UTF-8: {error}.",
            hint="Write it anew: Workspace.write_config() or modelport folder attach.",
        ) from error


def _find(start: Path, file_name: str) -> Path:
    if start.is_file():
        return start
    for candidate in _candidates(start, file_name):
        if candidate.is_file():
            return candidate
    raise UserErrorException(
        f"We could not find {file_name} in: {start} or in its parent directories.",
        hint="Write one with Workspace.write_config() or modelport folder attach, or name the workspace: "
        "Workspace.get(name).",
    )


def _candidates(start: Path, file_name: str) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield from (folder / below / file_name for below in _FOLDERS)


def _with_scope(document: dict[str, str]) -> dict[str, str]:
    """Fill missing keys from ``Scope``, the path ``/subscriptions/…/resourceGroups/…/…/workspaces/…``."""
    scope = _scope(document)
    names = {"subscription_id": "subscriptions", "resource_group": "resourcegroups", "workspace_name": "workspaces"}
    return {key: document.get(key) or scope.get(part, "") for key, part in names.items()}


def _scope(document: dict[str, str]) -> dict[str, str]:
    parts = str(document.get("Scope", "")).strip("/").split("/")
    return {key.lower(): value for key, value in zip(parts[::2], parts[1::2], strict=False)}


def write_config(config: WorkspaceConfig, path: str | None, *, file_name: str | None = None) -> Path:
    """Write ``<path or cwd>/.azureml/config.json`` and return its path."""
    folder = Path(path or ".") / ".azureml"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (file_name or _FILE_NAME)
    document = {key: getattr(config, key) for key in _KEYS}
    file.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")
    return file

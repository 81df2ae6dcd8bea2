"""Where workspaces are kept, and how one is opened."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from modelport.composition.targets import targets_of
from modelport.domain.errors import WorkspaceException
from modelport.domain.names import check_workspace_name
from modelport.domain.progress import Progress, Silent
from modelport.domain.workspaces import WorkspaceLabels, WorkspaceRecord
from modelport.environments.chooser import LocalEnvironments
from modelport.storage.interface import MetadataStore
from modelport.storage.objects import open_objects
from modelport.storage.sql import open_sql
from modelport.usecases.context import Context

HOME_VARIABLE = "MODELPORT_HOME"
DATABASE_VARIABLE = "MODELPORT_DATABASE_URL"

_DATABASE_FILE = "workspace.db"
_PRIVATE = 0o700
"""A home that is made here is its owner's alone, whatever the umask: who can write in it can run code as its owner."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where this user keeps workspaces: a home folder and, where metadata is shared, a database."""

    home: Path
    database_url: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Installation:
        """``MODELPORT_HOME``, by default ``~/.modelport``; ``MODELPORT_DATABASE_URL``, by default SQLite files.

        Raises WorkspaceException for a database that is no URL: a mistyped one must not become a file in the cwd; and
        for the home of a user who has none.
        """
        home = environ.get(HOME_VARIABLE) or "~/.modelport"
        database_url = environ.get(DATABASE_VARIABLE) or None
        if database_url is not None and "://" not in database_url:
            raise WorkspaceException(
                f"{DATABASE_VARIABLE} is no URL.",
                hint="It looks like postgresql://user:password@host/database; without it each workspace has a SQLite "
                "file.",
            )
        try:
            folder = Path(home).expanduser().absolute()
        except RuntimeError as error:
            raise WorkspaceException(
                f"The folder {home} cannot be told: {error}", hint=f"Set {HOME_VARIABLE} to an absolute path."
            ) from error
        return cls(home=folder, database_url=database_url)

    def folder(self, workspace: str) -> Path:
        return self.home / "workspaces" / workspace

    def workspace_names(self) -> list[str]:
        """The workspaces that this home holds; of a shared database, those that were used from here.

        Those that cannot be looked into are among them: to open one says why. Raises WorkspaceException where the home
        itself cannot be read, which must not look like one without workspaces.
        """
        root = self.home / "workspaces"
        try:
            folders = [entry for entry in root.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(root, error) from error
        if self.database_url is None:
            folders = [folder for folder in folders if _may_hold_a_database(folder)]
        return sorted(folder.name for folder in folders)


def open_workspace(
    name: str,
    *,
    installation: Installation | None = None,
    create: WorkspaceLabels | None = None,
    progress: Progress | None = None,
) -> Context:
    """Open the workspace; with ``create``, make it where there is none.

    Raises WorkspaceException where there is none and it is not to be made, StoreException where it cannot be opened.
    """
    check_workspace_name(name)
    installation = installation or Installation.from_environment()
    folder = installation.folder(name)
    registry = _registry(name, installation, make=create is not None)
    if registry is None:
        raise _missing(name, installation)
    record = registry.workspace()
    if record is None:
        if create is None:
            raise _missing(name, installation)
        record = registry.create_workspace(_new_record(name, create))
    objects = open_objects(folder / "objects", referenced=registry.referenced_objects)
    objects.sweep(registry)
    return Context(
        record=record,
        folder=folder,
        registry=registry,
        objects=objects,
        environments=LocalEnvironments(installation.home),
        targets=targets_of(folder, registry, record, home=installation.home, progress=progress or Silent()),
        progress=progress or Silent(),
    )


def workspace_exists(name: str, *, installation: Installation | None = None) -> bool:
    """Whether there is a workspace of that name. Raises WorkspaceException for one that no workspace can have."""
    check_workspace_name(name)
    registry = _registry(name, installation or Installation.from_environment(), make=False)
    if registry is None:
        return False
    with contextlib.closing(registry):
        return registry.workspace() is not None


def _registry(name: str, installation: Installation, *, make: bool) -> MetadataStore | None:
    """The workspace's rows; None where its SQLite file is not there and is not to be made."""
    folder = installation.folder(name)
    if installation.database_url is not None:
        _make(installation.home, mode=_PRIVATE)
        return open_sql(installation.database_url, workspace=name)
    if not make and not _holds_a_database(folder):
        return None
    _make(installation.home, mode=_PRIVATE)
    _make(folder)
    return open_sql(folder / _DATABASE_FILE, workspace=name)


def _may_hold_a_database(folder: Path) -> bool:
    try:
        return _holds_a_database(folder)
    except WorkspaceException:
        return True


def _holds_a_database(folder: Path) -> bool:
    """Raises WorkspaceException where that cannot be told: the folder is another user's, or below a file."""
    database = folder / _DATABASE_FILE
    try:
        return stat.S_ISREG(database.stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(database, error) from error


def _unreadable(place: Path, error: OSError) -> WorkspaceException:
    hint = f"Set {HOME_VARIABLE} to a folder that this user may read and write, or run this as the user whose it is."
    if isinstance(error, NotADirectoryError):
        hint = f"A file is where a folder should be: move it away, or set {HOME_VARIABLE} to a folder."
    return WorkspaceException(f"{place} cannot be read: {error.strerror or error}.", hint=hint)


def _make(folder: Path, *, mode: int = 0o777) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceException(
            f"The folder {folder} cannot be made: {error}.",
            hint=f"Set {HOME_VARIABLE} to a folder that can be written.",
        ) from error


def _missing(name: str, installation: Installation) -> WorkspaceException:
    where = installation.home if installation.database_url is None else "the database"
    known = ", ".join(installation.workspace_names())
    return WorkspaceException(
        f"There is no workspace named {name!r} in {where}.",
        hint=(f"There are: {known}. " if known else "")
        + "Create one: Workspace.create(name=…) or modelport workspace create.",
    )


def _new_record(name: str, labels: WorkspaceLabels) -> WorkspaceRecord:
    said: dict[str, Any] = {part.name: getattr(labels, part.name) for part in fields(WorkspaceLabels)}
    return WorkspaceRecord(name=name, id=str(uuid.uuid4()), created_time=dt.datetime.now(dt.UTC), **said)

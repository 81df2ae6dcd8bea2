"""What the control plane needs of its stores. Two seams: rows (MetadataStore) and files (ObjectStore)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from modelport.domain.assets import Asset
from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion
from modelport.domain.errors import StoreException
from modelport.domain.events import Event
from modelport.domain.models import ModelChange, ModelDraft, ModelFilter, ModelVersion
from modelport.domain.progress import Progress
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.tokens import SigningKey
from modelport.domain.workspaces import WorkspaceRecord


class MetadataStore(Protocol):
    """The rows of one workspace.

    Every method is one transaction, and every change writes its event in it. Methods may be called from several
    threads and processes at once. All raise StoreException where the database is damaged, full or out of reach.
    """

    def workspace(self) -> WorkspaceRecord | None:
        """The workspace's own record; None before it was created."""

    def create_workspace(self, record: WorkspaceRecord) -> WorkspaceRecord:
        """Create it, or return the one that is there already (two creators at once get the same)."""

    def update_workspace(
        self,
        *,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        aci: str | None = None,
    ) -> WorkspaceRecord:
        """Replace what is given."""

    def add_model(self, draft: ModelDraft, *, version: int | None = None) -> ModelVersion:
        """Make the draft the next version of its name: 1, 2, 3 …, without gaps, never again after a deletion.

        With ``version``, that one: for models that had a number elsewhere. Raises ConflictException where it is not
        above every number that was given out.
        """

    def models(self, wanted: ModelFilter) -> list[ModelVersion]:
        """The versions that fit, by name, newest first within a name."""

    def change_model(self, name: str, version: int, change: ModelChange) -> ModelVersion:
        """Replace the given fields. Raises ModelNotFoundException."""

    def delete_model(self, name: str, version: int) -> ModelVersion:
        """Delete and return it. Raises ModelNotFoundException, and ConflictException, naming the services, while a kept
        revision of a service has it."""

    def referenced_objects(self, digests: Sequence[str]) -> set[str]:
        """Those of the digests that a model version refers to."""

    def register_environment(self, definition: EnvironmentDefinition) -> EnvironmentVersion:
        """The newest version if it has this definition, else a new one."""

    def environments(self, name: str | None = None) -> list[EnvironmentVersion]:
        """All versions, by name, newest first within a name."""

    def service(self, name: str) -> Service | None:
        """The service, or None."""

    def services(self, wanted: ServiceFilter, *, unreadable: dict[str, StoreException] | None = None) -> list[Service]:
        """The services that fit, by name. Model filters look at the active revision.

        A row that makes no sense is an error, unless there is a dictionary for these: then the others are returned, and
        it gets the error of each, by name. Only for what is of use without them: who asks whether a model is in use
        must not go without an answer.
        """

    def create_service(self, service: Service) -> None:
        """Raises ConflictException where the name is taken, ModelNotFoundException where a model of it is gone."""

    def update_service(self, service: Service) -> None:
        """Replace the row. Raises WebserviceException (``WebserviceNotFound``) where there is none,
        ModelNotFoundException where a model of a new revision is gone."""

    def delete_service(self, name: str) -> None:
        """Delete the row; nothing happens where there is none."""

    def add_asset(
        self, kind: str, name: str, body: Mapping[str, Any], *, created_by: str, unique: bool = False
    ) -> Asset:
        """Make it the next version of that name within the kind: 1, 2, 3 …, never again after a deletion. ``unique``:
        raises ConflictException where there is a version already. Raises UserErrorException where the body is not JSON
        (``json_object`` says what is)."""

    def asset(self, kind: str, name: str, version: int | None = None) -> Asset | None:
        """That version, or the newest; None where it is not there."""

    def assets(self, kind: str, *, name: str | None = None, latest: bool = False) -> list[Asset]:
        """The versions, by name, newest first within a name. ``latest``: only the newest of each name."""

    def replace_asset(self, kind: str, name: str, version: int, body: Mapping[str, Any]) -> Asset:
        """Replace the whole body. Raises UserErrorException where the version is not there, or the body is not JSON."""

    def delete_asset(self, kind: str, name: str, version: int | None = None) -> int:
        """Delete that version, or every version of the name. Returns how many there were: 0 where there is none."""

    def signing_keys(self) -> list[SigningKey]:
        """The keys that sign access tokens, or did: newest first."""

    def keep_signing_key(self, key: SigningKey) -> SigningKey:
        """Keep it as the one that signs, or return the one that does already (two makers at once get the same)."""

    def rotate_signing_key(self, key: SigningKey, *, accepted_until: dt.datetime | None) -> None:
        """Have it sign from now on. The one before is accepted until then; None: every earlier one is forgotten.
        Those whose time is over are forgotten too."""

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with a greater number, oldest first."""

    def close(self) -> None:
        """Let go of connections."""


class Staging(Protocol):
    """Files on their way into the object store, for one registration.

    Used as a context manager around *both* the adding of files and the transaction that refers to them. Until
    ``commit`` is called, leaving the context (or the death of the process) takes back what was added and is not
    referred to.
    """

    def add_file(self, source: Path, *, label: str, progress: Progress) -> tuple[str, int]:
        """Stream a file in; returns its SHA-256 (hexadecimal) and size. Content that is there already is not kept
        twice, and is repaired where it is damaged."""

    def commit(self) -> None:
        """The transaction went through: what was added stays."""


class ObjectStore(Protocol):
    """Files by the SHA-256 of their content."""

    def stage(self) -> AbstractContextManager[Staging]:
        """Begin to add files."""

    def open(self, digest: str) -> Iterator[bytes]:
        """The content in pieces, verified: raises StoreException, before the last piece, where a byte is wrong or the
        object is missing. The message names the digest."""

    def place(self, digest: str, target: Path, *, link: bool, executable: bool = False) -> None:
        """Put the content at ``target`` (which must not exist), verified. ``link``: read-only, as a hard link where the
        file system allows; else a copy that the user may write to. Raises StoreException as ``open`` does, naming the
        object's file, and leaves nothing then."""

    def location(self, digest: str) -> str:
        """A URL that the content can be read from, unverified. Raises StoreException where the object is missing."""

    def remove_unreferenced(self, digests: Sequence[str], referenced: set[str]) -> None:
        """Forget those of the digests that are not referenced."""

    def sweep(self, store: MetadataStore) -> None:
        """Take back what registrations left behind whose processes died. Cheap where there are none."""

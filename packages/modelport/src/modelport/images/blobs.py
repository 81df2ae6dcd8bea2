"""Files named by the SHA-256 of their content, as OCI layouts keep them.

Source of the format: the OCI image layout specification, 1.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CHUNK_BYTES = 1 << 20


def digest_of(content: bytes) -> str:
    """As ``sha256:…``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical_json(document: Any) -> bytes:
    """The same document as the same bytes, always."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Count:
    """SHA-256 and size of what it was given."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


class Draft(Count):
    """A file that is written to, and counts."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def write(self, data: bytes) -> int:
        self.add(data)
        return self._file.write(data)


class Blobs:
    """The folder ``blobs`` of a layout. Several programs may fill it at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the blob is, if it is there."""
        algorithm, _, name = digest.partition(":")
        return self.root / "blobs" / algorithm / name

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def read_json(self, digest: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read(digest))
        return document

    def add(self, content: bytes) -> str:
        """Keep the content and return its digest."""
        with self.draft() as draft:
            draft.write(content)
        return draft.digest

    @contextlib.contextmanager
    def draft(self, expected: str | None = None) -> Iterator[Draft]:
        """A file to write a blob into, which has its name when the block ends without an exception.

        Raises ValueError where ``expected`` is given and another digest came out.
        """
        folder = self.root / "blobs" / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".draft-", delete=False) as file:
            draft = Path(file.name)
        try:
            with draft.open("wb") as file:
                count = Draft(file)
                yield count
            if expected is not None and count.digest != expected:
                raise ValueError(f"its digest is {count.digest}, and should be {expected}")
            draft.chmod(0o644)
            draft.rename(self.path(count.digest))
        finally:
            draft.unlink(missing_ok=True)

    def share(self, digest: str, other: Blobs) -> None:
        """Have the blob in another folder too, linked where the file system allows."""
        source, target = self.path(digest), other.path(digest)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            with other.draft(digest) as draft, source.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    draft.write(chunk)

"""Files named by the SHA-256 of their content, as OCI layouts keep them.

Source of the format: the OCI image layout specification, 1.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CHUNK_BYTES = 1 << 20

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(content: bytes) -> str:
    """As ``sha256:…``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def is_digest(text: object) -> bool:
    """Whether it is ``sha256:…``, and so a file name that leads nowhere else."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


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
        """Where the blob is, if it is there. Raises ValueError for what is no digest."""
        if not is_digest(digest):
            raise ValueError(f"{digest!r} is no digest of the form sha256:<64 digits>")
        algorithm, _, name = digest.partition(":")
        return self.root / "blobs" / algorithm / name

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the blob is there. One of another size is none: a file system that lost its power has left it."""
        try:
            about = self.path(digest).stat()
        except OSError:
            return False
        return stat.S_ISREG(about.st_mode) and size in (None, about.st_size)

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
                file.flush()
                os.fsync(file.fileno())  # or the name may outlive the content
            if expected is not None and count.digest != expected:
                raise ValueError(f"its digest is {count.digest}, and should be {expected}")
            draft.chmod(0o644)
            draft.rename(self.path(count.digest))
        finally:
            draft.unlink(missing_ok=True)

    def share(self, digest: str, other: Blobs) -> None:
        """Have the blob in another folder of ours too, linked where the file system allows."""
        source, target = self.path(digest), other.path(digest)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            other.take(digest, self)

    def take(self, digest: str, other: Blobs) -> None:
        """Copy the blob of a folder that somebody else may have written, and may change.

        Raises ValueError where its content has another digest, OSError where it is no readable file; links are none.
        """
        path = other.path(digest)
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe does not hold us up
        with os.fdopen(source, "rb") as file, self.draft(digest) as draft:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise OSError(f"{path} is no file")
            while chunk := file.read(CHUNK_BYTES):
                draft.write(chunk)

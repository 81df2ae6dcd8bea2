"""Files in memory."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelport.domain.errors import StoreException, UserErrorException
from modelport.domain.progress import Progress
from modelport.storage.interface import MetadataStore, Staging


class MemoryObjects:
    """An ObjectStore (storage/interface.py says what each method promises).

    ``referenced`` (``MetadataStore.referenced_objects``) is asked before anything is forgotten.
    """

    def __init__(self, *, referenced: Callable[[Sequence[str]], set[str]]) -> None:
        self._referenced = referenced
        self._lock = threading.RLock()
        self._contents: dict[str, bytes] = {}
        self._claims: Counter[str] = Counter()

    @contextlib.contextmanager
    def stage(self) -> Iterator[Staging]:
        staging = _MemoryStaging(self._claim)
        try:
            yield staging
        finally:
            with self._lock:
                self._claims.subtract(staging.digests)
                if not staging.is_committed:
                    self.remove_unreferenced(sorted(staging.digests), set())

    def _claim(self, digest: str, content: bytes) -> None:
        with self._lock:
            self._claims[digest] += 1
            self._contents.setdefault(digest, content)

    def open(self, digest: str) -> Iterator[bytes]:
        yield self._content(digest)

    def place(self, digest: str, target: Path, *, link: bool, executable: bool = False) -> None:
        mode = (0o444 if link else 0o666) | (0o111 if executable else 0)
        content = self._content(digest)
        try:
            with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
                file.write(content)
        except OSError as error:
            raise StoreException(f"Cannot write {target}: {os.strerror(error.errno or errno.EIO)}.") from error

    def location(self, digest: str) -> str:
        return "data:application/octet-stream;base64," + base64.b64encode(self._content(digest)).decode()

    def remove_unreferenced(self, digests: Sequence[str], referenced: set[str]) -> None:
        with self._lock:
            unclaimed = [digest for digest in digests if digest not in referenced and not self._claims[digest]]
            for digest in set(unclaimed) - self._referenced(unclaimed):
                self._contents.pop(digest, None)

    def sweep(self, store: MetadataStore) -> None:
        """Nothing outlives the process, so nothing is left behind."""

    def damage(self, digest: str, content: bytes) -> None:
        """For tests: replace the content behind the store's back."""
        self._contents[digest] = content

    def _content(self, digest: str) -> bytes:
        content = self._contents.get(digest)
        if content is None:
            raise StoreException(f"The object {digest} of the model store is missing.")
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreException(f"The object {digest} of the model store is damaged.")
        return content


class _MemoryStaging:
    """A Staging."""

    def __init__(self, claim: Callable[[str, bytes], None]) -> None:
        self._claim = claim
        self.digests: list[str] = []
        self.is_committed = False

    def add_file(self, source: Path, *, label: str, progress: Progress) -> tuple[str, int]:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise UserErrorException(f"Cannot read {source}: {error.strerror}.") from error
        digest = hashlib.sha256(content).hexdigest()
        self._claim(digest, content)
        self.digests.append(digest)
        progress.amount(label, len(content), len(content))
        return digest, len(content)

    def commit(self) -> None:
        self.is_committed = True

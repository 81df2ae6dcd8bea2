"""Which objects this process has read and found right.

Hard-linking a model costs nothing, but hashing it costs a read of every byte. So that a second deployment of the same
model by the same process does not pay again, the outcome is kept for as long as the file shows no sign of a change: the
same inode, size, time of modification and time of change. What changes a file without leaving any of these signs, a
failing disk, is found by the next process, which trusts nothing, and by ``open`` and copying ``place``, which always
hash.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from modelport.storage.objects.failures import damaged_object, unreadable_object
from modelport.storage.objects.streams import digest_of

_SETTLED_NS = 2_000_000_000
"""File systems count time in steps, up to two seconds long: two changes within one step look like one."""

_Content = tuple[int, int, int, int]


class Verified:
    """Remembers, for one process, which files have the content that their names say."""

    def __init__(self) -> None:
        self._changed_ns: dict[_Content, int] = {}

    def is_known(self, status: os.stat_result) -> bool:
        return self._changed_ns.get(_content(status)) == status.st_ctime_ns

    def check(self, path: Path, digest: str, *, name: Path) -> None:
        """Hash the file and remember that it is right; else raise StoreException, which calls the file ``name``."""
        before = path.stat()
        found = digest_of(path, unreadable_object)
        if found != digest:
            raise damaged_object(name, expected=digest, found=found)
        if time.time_ns() - before.st_mtime_ns > _SETTLED_NS:
            self._changed_ns[_content(before)] = before.st_ctime_ns

    def follow(self, path: Path) -> None:
        """We have linked or renamed the file ourselves, which changes its time of change, but not its content."""
        status = path.stat()
        if _content(status) in self._changed_ns:
            self._changed_ns[_content(status)] = status.st_ctime_ns


def _content(status: os.stat_result) -> _Content:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

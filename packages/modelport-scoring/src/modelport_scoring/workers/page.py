"""The page of memory that a worker shares with the server: which request it started last."""

from __future__ import annotations

import mmap
import os

from modelport_worker.frames import PAGE_SIZE, STARTED


class SharedPage:
    """An anonymous file, mapped here, and by the worker that inherits its descriptor."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("modelport-page", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, PAGE_SIZE)
        self._memory = mmap.mmap(self.descriptor, PAGE_SIZE)

    @property
    def started_id(self) -> int:
        """Number of the request that ``run`` was last called for; 0 before the first."""
        (number,) = STARTED.unpack_from(self._memory, 0)
        return int(number)

    def close(self) -> None:
        """Give memory and descriptor back. Closing twice is harmless."""
        if self.descriptor >= 0:
            self._memory.close()
            os.close(self.descriptor)
            self.descriptor = -1

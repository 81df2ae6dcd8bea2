"""The memory that a worker shares with the server: a page that tells which request it started last, and an arena."""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import suppress

from modelport_scoring.workers.arena import Arena
from modelport_worker.frames import CANCELLED, CANCELLED_AT, CUT_OFF_AT, MEMORY_SIZE, PAGE_SIZE, STARTED

SIZE_STAYS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Whoever has the file may change what is in it, and not its size: to look at memory that is gone would end us."""


class SharedPage:
    """An anonymous file, mapped here, and by the worker that inherits its descriptor."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.descriptor = os.memfd_create("modelport-page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, MEMORY_SIZE)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, SIZE_STAYS)
            self._memory = mmap.mmap(self.descriptor, MEMORY_SIZE)  # takes a descriptor of its own
        except OSError:
            os.close(self.descriptor)
            raise
        self.arena = Arena(self._memory, start=PAGE_SIZE)

    @property
    def started_ids(self) -> tuple[int, int]:
        """Numbers of the first and the last request that ``run`` was last called for; 0 before the first call."""
        first, last = STARTED.unpack_from(self._memory, 0)
        return int(first), int(last)

    def cancel(self, request_id: int) -> None:
        """Tell the worker to make no more of the body of that request's answer."""
        CANCELLED.pack_into(self._memory, CANCELLED_AT, request_id)

    @property
    def is_cut_off(self) -> bool:
        """Whether the worker's script has closed the descriptor of its link."""
        return self._memory[CUT_OFF_AT] == 1

    def close(self) -> None:
        """Give memory and descriptor back. Closing twice is harmless."""
        if self.descriptor >= 0:
            with suppress(BufferError):  # a body has arrived there, or still does: the memory goes with the last
                self._memory.close()
            os.close(self.descriptor)
            self.descriptor = -1

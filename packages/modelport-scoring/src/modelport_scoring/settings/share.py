"""The part that one of several server processes has of what is meant for the service as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from modelport_scoring.settings.service import Limits
from modelport_scoring.settings.size import Size

DIVIDED = ("max_connections", "max_queue_length", "max_queue_bytes", "max_buffered_bytes", "max_concurrent_requests")
"""The limits of the whole service. All others are of one request, connection or worker."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of the server process ``process``, counted from 0, among ``processes``."""

    process: int = 0
    processes: int = 1

    def part(self, whole: int) -> int:
        """So many of the whole: the parts of all processes add up to it. What is left over goes to the first ones."""
        return whole // self.processes + (self.process < whole % self.processes)

    def limits(self, limits: Limits) -> Limits:
        """The limits that hold here."""
        if self.processes == 1:
            return limits
        return msgspec.structs.replace(limits, **{name: self.part(getattr(limits, name)) for name in DIVIDED})

    def size(self, size: Size) -> Size:
        """The number of workers here."""
        if self.processes == 1:
            return size
        autoscale = size.autoscale
        if autoscale is not None:
            autoscale = msgspec.structs.replace(
                autoscale, min_workers=self.part(autoscale.min_workers), max_workers=self.part(autoscale.max_workers)
            )
        return Size(workers=self.part(size.workers), autoscale=autoscale)


WHOLE = Share()

"""How many workers a revision is to have."""

from __future__ import annotations

from dataclasses import dataclass

from modelport_scoring.settings.service import Autoscale, RevisionSettings, ServiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """So many workers, or as many as the load asks for."""

    workers: int
    """To begin with, where ``autoscale`` is given."""
    autoscale: Autoscale | None = None

    def fitted(self, workers: int) -> int:
        """What that number becomes under these settings."""
        if self.autoscale is None:
            return self.workers
        return min(max(workers, self.autoscale.min_workers), self.autoscale.max_workers)


def size_of(service: ServiceSettings, revision: RevisionSettings) -> Size:
    """What the settings say for one of the revisions: its own word counts before the service's."""
    workers = service.workers if revision.workers is None else revision.workers
    if revision.autoscale is not None:
        return Size(workers=workers, autoscale=revision.autoscale)
    return Size(workers=workers, autoscale=None if revision.workers is not None else service.autoscale)

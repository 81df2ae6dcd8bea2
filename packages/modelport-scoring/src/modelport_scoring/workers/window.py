"""How many frames may be on their way to a worker at once."""

from __future__ import annotations

from modelport_scoring.workers.batch_size import BatchSize

WORK_AHEAD_MICROS = 2000.0
"""A worker holds about this much work: enough that it never waits for the server, and so little that a slow request
does not hide behind frames already sent."""

MOST_FRAMES = 64
WEIGHT = 0.1
"""Of the newest measurement in the moving average."""


class Window:
    """The cap of one worker, from an exponentially weighted moving average of the time that ``run`` takes.

    Where requests are scored together, as many as may be are sent always, since the call costs about the same for one
    as for all; and as many again, so that the next batch is there when the worker is done, if the calls are short. A
    worker joins what it finds: while batches are smaller than the settings allow, it gets no more than that.
    """

    __slots__ = ("_batch", "_is_joined", "_mean", "size")

    def __init__(self, batch: BatchSize) -> None:
        self._mean = WORK_AHEAD_MICROS
        self._batch = batch
        self._is_joined = batch.largest > 1
        self.size = batch.size

    def measured(self, micros: int) -> None:
        """Count one more call of ``run``. A very slow one closes the window at once, fast ones open it step by step."""
        mean = self._mean = self._mean + WEIGHT * (micros - self._mean)
        if self._is_joined:
            batch = self._batch
            if batch.size < batch.largest:
                batch.recover()
                self.size = batch.size
            else:
                self.size = batch.size * (2 if mean < WORK_AHEAD_MICROS else 1)
        else:
            frames = int(WORK_AHEAD_MICROS / mean) if mean > 0 else MOST_FRAMES
            self.size = 1 if frames < 1 else min(frames, MOST_FRAMES)

    def scores_alone(self) -> None:
        """The worker has given up scoring requests together."""
        self._is_joined = False
        self.size = 1

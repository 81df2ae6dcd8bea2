"""A process that has opened nearly as many files as it may."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """So many more can be opened."""
    gc.collect()  # else what earlier tests have left may be closed within, and make more room
    some = [os.dup(0) for _ in range(descriptors + 1)]
    for each in some:
        os.close(each)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (some[-1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

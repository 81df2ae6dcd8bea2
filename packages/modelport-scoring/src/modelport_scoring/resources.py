"""What the system lets a process have."""

from __future__ import annotations

import resource

SPARE_DESCRIPTORS = 128
"""For workers, logs and the control socket; a connection must not take the last one."""


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may, and return how many those are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20

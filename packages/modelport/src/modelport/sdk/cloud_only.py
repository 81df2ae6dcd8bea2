"""Arguments of v1 that name what only its cloud had: accepted, so that scripts run, and said to be without effect."""

from __future__ import annotations

from collections.abc import Mapping

from modelport.domain.progress import Progress


def say_unused(progress: Progress, arguments: Mapping[str, object]) -> None:
    """Name those of the arguments that ask for something."""
    unused = [name for name, value in arguments.items() if value]
    if unused:
        progress.step(f"Not used on this machine: {', '.join(unused)}")

"""Folders of users that packages are saved to: what is not of a package stays there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modelport.domain.errors import UserErrorException


def check_nothing_is_lost(target: Path, names: Iterable[str]) -> None:
    """Raise UserErrorException where one of these is in a folder that has no package."""
    there = next((name for name in names if (target / name).exists() or (target / name).is_symlink()), None)
    if there is not None:
        raise UserErrorException(
            f"{target} has {there!r}, which would be replaced, and nothing shows that it is of a package: nothing was "
            "written there.",
            hint="Choose an empty folder, or take that away from there. The package itself is in the workspace.",
        )

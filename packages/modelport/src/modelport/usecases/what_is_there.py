"""What to say of a path at which nothing is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_MOST_NAMES = 20


def what_is_there(path: Path) -> str:
    """What the folder holds in which ``path`` is not, and which of its names may have been meant."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"There is no folder {folder} either.{_meant_folder(folder)}"
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return f"The folder {folder} cannot be read: {error.strerror}."
    if not names:
        return f"The folder {folder} is empty."
    listing = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"The folder {folder} holds: {listing}.{did_you_mean(path.name, names)}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A sentence with the nearest of the names, to put behind another one; empty where none is near."""
    by_form = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), by_form, n=1)
    return f" Did you mean {by_form[found[0]]!r}?" if found else ""


def _meant_folder(folder: Path) -> str:
    """As far as the folders above it are there."""
    parent = folder.parent
    if not parent.is_dir():
        return ""
    try:
        return did_you_mean(folder.name, (entry.name for entry in parent.iterdir() if entry.is_dir()))
    except OSError:
        return ""

"""The name that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from modelport.environments.conda_names import known_on_conda, known_on_pypi
from modelport.environments.requirement_lines import normalised

_ALIKE = 0.78
"""How alike two names must be (difflib's ratio): ``nunpy`` and ``numpy`` are 0.8."""

_IMPORTED_AS = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What is imported under another name than it is installed."""


def nearest(name: str, known: Collection[str]) -> str | None:
    """The name among ``known`` that was most likely meant; None where none is like it, or it is one itself."""
    wanted = normalised(name)
    by_form = {normalised(each): each for each in known}
    if wanted in by_form:
        return None
    imported = _IMPORTED_AS.get(wanted)
    if imported in by_form:
        return by_form[str(imported)]
    found = difflib.get_close_matches(wanted, by_form, n=1, cutoff=_ALIKE)
    return by_form[found[0]] if found else None


def nearest_on_pypi(name: str) -> str | None:
    """The nearest of the well-known names on PyPI."""
    return nearest(name, known_on_pypi())


def nearest_on_conda(name: str) -> str | None:
    """The nearest of the well-known names of conda packages."""
    return nearest(name, known_on_conda())


def did_you_mean(meant: str | None) -> str:
    """A sentence to put behind another one; empty for none."""
    return f" Did you mean {meant}?" if meant else ""

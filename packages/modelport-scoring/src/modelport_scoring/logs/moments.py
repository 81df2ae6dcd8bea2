"""Moments in messages."""

from __future__ import annotations

import datetime as dt


def in_words(moment: float) -> str:
    """The Unix time as people write it; the bare number where no calendar reaches."""
    try:
        return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{moment:g}"

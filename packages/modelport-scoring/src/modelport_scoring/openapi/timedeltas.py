"""Which texts are differences of time to an array of them: a number and a unit, as ``inference_schema`` reads them.

NumPy has each of them in the unit of the array, and refuses those of a unit that is too far from it.
"""

from __future__ import annotations

from typing import Any

MOST_RATIO = 2**56
"""Of two units (NumPy's get_datetime_conversion_factor)."""

SECOND = 10**18
ATTOSECONDS = {
    "weeks": 7 * 24 * 60 * 60 * SECOND,
    "days": 24 * 60 * 60 * SECOND,
    "hours": 60 * 60 * SECOND,
    "minutes": 60 * SECOND,
    "seconds": SECOND,
    "milliseconds": 10**15,
    "microseconds": 10**12,
    "nanoseconds": 10**9,
    "picoseconds": 10**6,
    "femtoseconds": 10**3,
    "attoseconds": 1,
}
CALENDAR = ("years", "months")
"""As long as they happen to be: nothing else is one of these, nor the other way round."""


def units_beside(unit: str) -> list[str]:
    """Those that an array of that unit takes."""
    if unit in CALENDAR:
        return [*CALENDAR]
    own = ATTOSECONDS[unit]
    return [name for name, length in ATTOSECONDS.items() if max(own, length) < MOST_RATIO * min(own, length)]


TIMEDELTA_PATTERNS = {unit: f"^-?[0-9]{{1,4}} ({'|'.join(units_beside(unit))})$" for unit in (*CALENDAR, *ATTOSECONDS)}
"""By the unit of the array."""


def timedelta_pattern(example: Any) -> str:
    """Of what an array takes that has this element: ``3 days``. Where it has none, of what nearly any takes."""
    unit = example.rpartition(" ")[2] if isinstance(example, str) else ""
    return TIMEDELTA_PATTERNS.get(unit, TIMEDELTA_PATTERNS["seconds"])

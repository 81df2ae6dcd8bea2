"""The few statistics that the harness needs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float | None:
    """None where there are none."""
    return statistics.median(values) if values else None


def ratio(one: float | None, other: float | None) -> float | None:
    """None where either is missing, or the other one is nothing."""
    return one / other if one is not None and other else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Where the true median lies in 19 of 20 cases, by order statistics; None with fewer than six values.

    The chance that all of n values lie on one side of the median is 2 / 2**n; the interval between the k-th smallest
    and the k-th largest value leaves out what the binomial distribution says.
    """
    ordered = sorted(values)
    number, kept = len(ordered), None
    for k in range(number // 2):
        outside = 2 * sum(math.comb(number, i) for i in range(k + 1)) / 2**number
        if outside > 0.05:
            break
        kept = (ordered[k], ordered[number - 1 - k])
    return kept

"""The statistics."""

from __future__ import annotations

import random

import pytest

from bench.scoring.medians import interval, median, ratio


def test_the_median_of_nothing_is_none() -> None:
    assert median([]) is None
    assert median([3.0, 1.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    ("one", "other", "expected"), [(6.0, 2.0, 3.0), (None, 2.0, None), (6.0, None, None), (6.0, 0.0, None)]
)
def test_ratio(one: float | None, other: float | None, expected: float | None) -> None:
    assert ratio(one, other) == expected


def test_five_values_bound_no_median() -> None:
    """All five lie on one side of it in one case of sixteen."""
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None


def test_six_values_bound_it_by_their_extremes() -> None:
    assert interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == (1.0, 6.0)


def test_eleven_values_leave_out_one_at_each_end() -> None:
    assert interval([float(number) for number in range(11)]) == (1.0, 9.0)


def test_it_holds_the_median_in_19_of_20_cases() -> None:
    dice = random.Random(7)
    drawn = [interval([dice.gauss(1.0, 0.1) for _ in range(11)]) for _ in range(2000)]
    held = sum(within is not None and within[0] <= 1.0 <= within[1] for within in drawn)
    assert held / 2000 >= 0.95

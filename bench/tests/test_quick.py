"""What bench-quick says of its ratios."""

from __future__ import annotations

import pytest

from bench.scoring.quick import judge, status

STEADY = [0.99, 1.0, 1.0, 1.0, 1.0, 1.0, 1.01]
NOISY = [0.6, 0.7, 0.9, 1.0, 1.1, 1.3, 1.4]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (STEADY, "the same"),
        ([value * 1.2 for value in STEADY], "faster"),
        ([value * 0.97 for value in STEADY], "slower, by less than 5%"),
        ([value * 0.9 for value in STEADY], "SLOWER by more than 5%"),
        ([value * 0.9 for value in NOISY], "SLOWER by more than 5%, but the noise is as large: more ROUNDS"),
        (NOISY, "a loss of 5% would be lost in the noise: more ROUNDS"),
        ([1.0, 1.0], "a loss of 5% would be lost in the noise: more ROUNDS"),
    ],
)
def test_the_verdict(values: list[float], said: str) -> None:
    assert judge(values) == said


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ({"W1 c64, plain": STEADY, "NULL c64p16, plain": [0.5] * 7}, 0),
        ({"W1 c1, plain": STEADY, "W1 c64, batching": [0.94] * 7}, 1),
        ({"NULL c64p16, plain": STEADY}, 2),
        ({}, 2),
    ],
)
def test_the_exit_status(ratios: dict[str, list[float]], expected: int) -> None:
    assert status(ratios) == expected

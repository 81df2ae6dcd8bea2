"""How requests are divided among the revisions of a service: ``traffic`` in ``service.json``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import msgspec

MOST_REVISIONS = 6
"""That a service hosts at once, the default one included (reference, 2.10)."""

MOST_COPIES = 4096
"""What ``shadow_copies`` may be set to."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NUMBERS = 1 << 63

ROUNDING = 1e-6
"""Percent: thirds add up to a little more than a hundred."""


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who gets which requests. What no revision is given goes to the default one."""

    weights: dict[int, float] = {}
    """Percent of the requests by revision number, 100 together at most. The default revision gets the rest, and what a
    revision without a ready worker would have got."""
    sticky_header: str | None = None
    """Requests with the same value of this header go to the same revision. Those without it are divided by chance."""
    version_header: str | None = None
    """By this header a client may ask for a revision by its number, whatever the weights are."""
    shadow: int | None = None
    """This revision gets copies of requests; its answers are compared with those that were sent, and dropped."""
    shadow_percent: float = 100.0
    """Of the requests that are divided by weights, so many are copied."""
    shadow_tolerance: float = 0.0
    """Two numbers are equal if they differ by this much of the larger one at most; 0: exactly."""
    shadow_copies: int = 256
    """Copies that wait or are being scored at once; those beyond are dropped and counted."""


def check_traffic(traffic: Traffic, *, default: int, others: Collection[int]) -> None:
    """Raise ValueError, naming the field, for traffic that these revisions cannot have."""
    if not all(0 < number < NUMBERS for number in (default, *others)):
        raise ValueError(f"others: the number of a revision must be from 1 to below {NUMBERS}")
    if len({default, *others}) <= len(others):
        raise ValueError("others: two revisions have the same number")
    if len(others) >= MOST_REVISIONS:
        raise ValueError(f"others: a service hosts {MOST_REVISIONS} revisions at most, not {len(others) + 1}")
    _check_weights(traffic.weights, hosted={default, *others})
    for field in ("sticky_header", "version_header"):
        name = getattr(traffic, field)
        if name is not None and not HEADER_NAME.fullmatch(name):
            raise ValueError(f"traffic.{field} is no name of a header: {name!r}")
    _check_shadow(traffic, others=others)


def _check_weights(weights: dict[int, float], *, hosted: Collection[int]) -> None:
    for number, percent in weights.items():
        if number not in hosted:
            raise ValueError(f"traffic.weights: revision {number} is not hosted, only {listed(hosted)}")
        check_percent(percent, field=f"traffic.weights[{number}]")
    total = sum(weights.values())
    if total > 100 + ROUNDING:
        raise ValueError(f"traffic.weights add up to {total:g} percent, more than 100")


def _check_shadow(traffic: Traffic, *, others: Collection[int]) -> None:
    check_percent(traffic.shadow_percent, field="traffic.shadow_percent")
    if not 0 <= traffic.shadow_tolerance < 1:
        raise ValueError(f"traffic.shadow_tolerance must be from 0 to below 1, not {traffic.shadow_tolerance}")
    if not 1 <= traffic.shadow_copies <= MOST_COPIES:
        raise ValueError(f"traffic.shadow_copies must be between 1 and {MOST_COPIES}, not {traffic.shadow_copies}")
    if traffic.shadow is None:
        return
    if traffic.shadow not in others:
        raise ValueError(f"traffic.shadow: revision {traffic.shadow} is not hosted beside the default one")
    if traffic.weights.get(traffic.shadow, 0) > 0:
        # Copies would stand in line before requests that somebody waits for.
        raise ValueError(f"traffic.shadow: revision {traffic.shadow} has a weight; one that gets copies may have none")


def check_percent(percent: float, *, field: str) -> None:
    """Raise ValueError for what is no percentage."""
    if not (math.isfinite(percent) and 0 <= percent <= 100):
        raise ValueError(f"{field} must be between 0 and 100, not {percent}")


def listed(numbers: Collection[int]) -> str:
    """The numbers, for a sentence."""
    return ", ".join(str(number) for number in sorted(numbers))


def without(traffic: Traffic, number: int) -> Traffic:
    """The traffic once that revision gets no share of its own any more."""
    weights = {other: percent for other, percent in traffic.weights.items() if other != number}
    shadow = None if traffic.shadow == number else traffic.shadow
    return msgspec.structs.replace(traffic, weights=weights, shadow=shadow)


def renamed(traffic: Traffic, old: int, new: int) -> Traffic:
    """The traffic once another revision has the place of that one."""
    weights = {new if number == old else number: percent for number, percent in traffic.weights.items()}
    shadow = new if traffic.shadow == old else traffic.shadow
    return msgspec.structs.replace(traffic, weights=weights, shadow=shadow)


def shares(traffic: Traffic, *, default: int, others: Collection[int]) -> dict[int, float]:
    """Percent of the requests by revision number, 100 together; the default one first."""
    given = {number: traffic.weights.get(number, 0.0) for number in others}
    return {default: max(0.0, 100.0 - sum(given.values())), **given}

"""The division of requests by itself: settings that cannot be, the choice, and what counts as equal."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest

from modelport_scoring import Traffic
from modelport_scoring.settings.traffic import check_traffic, renamed, shares, without
from modelport_scoring.traffic.comparison import MOST_READ_BYTES, same_body
from modelport_scoring.traffic.split import DIGESTS, Split, to_exponential

USERS = [b"user-%d" % number for number in range(4000)]


def within(count: int, *, of: int, percent: float) -> bool:
    """Whether a count is within five standard deviations of what chance gives."""
    share = percent / 100
    return abs(count - of * share) <= 5 * math.sqrt(of * share * (1 - share))


def stuck(traffic: Traffic, *, default: int, others: list[int]) -> dict[bytes, int]:
    split = Split(traffic, default=default, others=others)
    return {user: split.choose({b"x-user": user}) for user in USERS}


@pytest.mark.parametrize(
    ("traffic", "what"),
    [
        (Traffic(weights={4: 1}), "revision 4 is not hosted, only 1, 2, 3"),
        (Traffic(weights={2: 60, 3: 41}), "add up to 101 percent"),
        (Traffic(weights={1: 60, 2: 41}), "add up to 101 percent"),
        (Traffic(weights={2: -1}), r"weights\[2\] must be between 0 and 100, not -1"),
        (Traffic(weights={2: 101}), "between 0 and 100"),
        (Traffic(weights={2: math.nan}), "between 0 and 100, not nan"),
        (Traffic(weights={2: math.inf}), "between 0 and 100, not inf"),
        (Traffic(sticky_header=""), "sticky_header is no name of a header: ''"),
        (Traffic(sticky_header="x user"), "sticky_header is no name"),
        (Traffic(sticky_header="x-user\r\n"), "sticky_header is no name"),
        (Traffic(version_header="x:y"), "version_header is no name"),
        (Traffic(version_header="ü"), "version_header is no name"),
        (Traffic(shadow=1), "revision 1 is not hosted beside the default one"),
        (Traffic(shadow=4), "revision 4 is not hosted beside"),
        (Traffic(shadow=2, weights={2: 1}), "revision 2 has a weight"),
        (Traffic(shadow=2, shadow_percent=math.nan), "shadow_percent must be between"),
        (Traffic(shadow_percent=101), "shadow_percent must be between"),
        (Traffic(shadow_tolerance=-1), "shadow_tolerance must be from 0"),
        (Traffic(shadow_tolerance=math.nan), "shadow_tolerance must be from 0"),
        (Traffic(shadow_copies=0), "shadow_copies must be between"),
    ],
)
def test_traffic_that_cannot_be(traffic: Traffic, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check_traffic(traffic, default=1, others=[2, 3])


@pytest.mark.parametrize(
    ("others", "what"),
    [
        ([1], "same number"),
        ([0], "must be from 1"),
        ([-2], "must be from 1"),
        ([1 << 70], "must be from 1"),
        ([2, 2], "same number"),
        ([2, 3, 4, 5, 6, 7], "hosts 6 .* not 7"),
    ],
)
def test_revisions_that_cannot_be(others: list[int], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check_traffic(Traffic(), default=1, others=others)


def test_three_thirds_are_a_whole() -> None:
    check_traffic(Traffic(weights=dict.fromkeys((1, 2, 3), 33.333333334)), default=1, others=[2, 3])


def test_the_default_revision_gets_what_is_unassigned_and_its_own_weight() -> None:
    assert shares(Traffic(weights={2: 30, 1: 20}), default=1, others=[2, 3]) == {1: 70, 2: 30, 3: 0}
    assert shares(Traffic(), default=7, others=[]) == {7: 100}


def test_who_follows_a_shadow_is_the_shadow() -> None:
    assert renamed(Traffic(shadow=2), 2, 4).shadow == 4
    assert renamed(Traffic(shadow=2, weights={3: 20}), 3, 4) == Traffic(shadow=2, weights={4: 20})


def test_a_revision_that_goes_leaves_nothing_behind() -> None:
    traffic = Traffic(weights={2: 30, 3: 20}, sticky_header="x-user", shadow=4)
    assert without(traffic, 2) == Traffic(weights={3: 20}, sticky_header="x-user", shadow=4)
    assert without(traffic, 4) == Traffic(weights={2: 30, 3: 20}, sticky_header="x-user")


@pytest.mark.parametrize("weights", [{}, {2: 10, 3: 30}, {2: 50, 3: 50}, {2: 100}, {1: 1}])
def test_requests_are_divided_by_chance(weights: dict[int, float]) -> None:
    traffic = Traffic(weights=weights, sticky_header="x-user")
    split = Split(traffic, default=1, others=[2, 3])
    counts = Counter(split.choose({b"x-user": b""}) for _ in range(20_000))
    for number, percent in shares(traffic, default=1, others=[2, 3]).items():
        assert within(counts[number], of=20_000, percent=percent)


@pytest.mark.parametrize("weights", [{2: 10, 3: 30}, {2: 50, 3: 50}, {2: 100}, {}])
def test_the_values_of_a_sticky_header_are_divided_as_well(weights: dict[int, float]) -> None:
    traffic = Traffic(weights=weights, sticky_header="X-User")
    counts = Counter(stuck(traffic, default=1, others=[2, 3]).values())
    for number, percent in shares(traffic, default=1, others=[2, 3]).items():
        assert within(counts[number], of=len(USERS), percent=percent)


def test_a_weight_that_grows_takes_no_value_away_from_its_revision() -> None:
    steps = [
        stuck(Traffic(weights={2: percent, 3: 20}, sticky_header="x-user"), default=1, others=[2, 3])
        for percent in (0, 5, 20, 60, 80)
    ]
    for before, after in pairwise(steps):
        assert {user for user in USERS if before[user] == 2} < {user for user in USERS if after[user] == 2}


def test_between_two_revisions_only_those_move_that_must() -> None:
    before, after = (
        stuck(Traffic(weights={2: percent}, sticky_header="x-user"), default=1, others=[2]) for percent in (10, 25)
    )
    moved = [user for user in USERS if before[user] != after[user]]
    assert {after[user] for user in moved} == {2}
    assert within(len(moved), of=len(USERS), percent=15)


def test_another_default_revision_moves_nobody_who_is_on_a_third() -> None:
    traffic = Traffic(weights={3: 20}, sticky_header="x-user")
    before, after = (stuck(traffic, default=default, others=[3]) for default in (1, 2))
    assert {user for user in USERS if before[user] == 3} == {user for user in USERS if after[user] == 3}


def test_a_value_goes_to_the_same_revision_in_every_release() -> None:
    chosen = stuck(Traffic(weights={2: 50}, sticky_header="x-user"), default=1, others=[2])
    assert [chosen[user] for user in USERS[:12]] == [2, 1, 1, 2, 2, 1, 2, 1, 1, 2, 1, 2]


def test_every_digest_stands_for_a_number_that_divides() -> None:
    """The logarithm of the last ones is 0 where a float cannot tell them from 1."""
    drawn = [to_exponential(digest) for digest in (0, DIGESTS // 2, DIGESTS - 1025, DIGESTS - 1024, DIGESTS - 1)]
    assert drawn == sorted(drawn, reverse=True)
    assert all(each > 0 for each in drawn)


def test_what_a_client_may_ask_for() -> None:
    split = Split(Traffic(version_header="X-Revision"), default=1, others=[22])
    assert split.asked({b"x-revision": b"22"}) == b"22"
    assert split.asked({}) is None
    assert [split.find(asked) for asked in (b"1", b"22", b"2", b"", b" 1", b"01", b"x")] == [1, 22, *[None] * 5]
    assert Split(Traffic(), default=1, others=[]).asked({b"x-revision": b"22"}) is None


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "equal"),
    [
        ("[NaN]", "[NaN]", 0, True),
        ("text", "text", 0, True),
        ("text", "other", 0, False),
        ("", "null", 0, False),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', 0, True),
        ('{"a": 1}', '{"a": 1, "b": 1}', 0, False),
        ("[1, 2]", "[1, 2, 3]", 0.5, False),
        ("[1, 2]", "[2, 1]", 0, False),
        ("1", "1.0", 0, True),
        ("1", "true", 0.5, False),
        ("0", "false", 0.5, False),
        ("0", "null", 0.5, False),
        ('"1"', "1", 0.5, False),
        ('"1.0"', '"1.00"', 0.5, False),
        ("100.0", "100.001", 0, False),
        ("[[100.0]]", "[[100.001]]", 1e-4, True),
        ("[[100.0]]", "[[100.1]]", 1e-4, False),
        ("0", "1e-300", 0.1, False),
        ("[]", "{}", 0, False),
        ("[" * 900 + "1" + "]" * 900, "[" * 900 + "1.0" + "]" * 900, 0, True),
    ],
)
def test_bodies_are_compared_as_json(one: str, other: str, tolerance: float, equal: bool) -> None:
    assert same_body(one.encode(), other.encode(), tolerance=tolerance) is equal
    assert same_body(other.encode(), one.encode(), tolerance=tolerance) is equal


def test_long_bodies_are_compared_byte_by_byte() -> None:
    spaces = b" " * MOST_READ_BYTES
    assert same_body(b"[1]" + spaces, b"[1]" + spaces)
    assert not same_body(b"[1]" + spaces, b"[1]")

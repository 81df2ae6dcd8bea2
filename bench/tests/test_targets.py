"""The table of what was to be shown."""

from __future__ import annotations

from bench.scoring.results import Results
from bench.scoring.targets import TARGETS, Bound, Verdict, judge
from bench.tests.results_of import empty, one_round


def line(results: Results, start: str) -> Verdict:
    return next(verdict for verdict in judge(results) if verdict.title.startswith(start))


def rates(**by_peer: float) -> Results:
    results = empty()
    for name, rate in by_peer.items():
        key = {"vendor": "azureml-inference-server-http", "batching": "modelport-batching"}.get(name, name)
        results.rounds.append(one_round(key, "W1", "c64", requests_per_s=rate))
    return results


def test_every_target_stands_in_the_table_also_when_nothing_was_measured() -> None:
    verdicts = judge(empty())
    assert len(verdicts) == len(TARGETS)
    assert {verdict.met for verdict in verdicts} == {"?"}


def test_a_ratio_that_is_reached() -> None:
    verdict = line(rates(batching=31_000, vendor=1_000), "W1, 64 connections, batching, beside the vendor")
    assert (verdict.bound, verdict.measured, verdict.met) == ("≥ 30 times", "31.00 times", "yes")


def test_a_ratio_that_is_not_reached() -> None:
    verdict = line(rates(batching=29_000, vendor=1_000), "W1, 64 connections, batching, beside the vendor")
    assert (verdict.measured, verdict.met) == ("29.00 times", "**no**")


def test_every_other_peer_means_the_fastest_of_them() -> None:
    results = rates(batching=50_000, vendor=90_000, fastapi=3_000, litserve=5_000)
    verdict = line(results, "W1, 64 connections, batching, beside every other")
    assert (verdict.measured, verdict.met) == ("10.00 times (the fastest: litserve)", "yes")


def test_the_median_over_rounds_counts() -> None:
    results = rates(vendor=1_000)
    for number, rate in enumerate((1_000.0, 6_000.0, 90_000.0), start=1):
        results.rounds.append(one_round("modelport", "W1", "c64", number=number, requests_per_s=rate))
    assert line(results, "W1, 64 connections, no batching, beside the vendor").measured == "6.00 times"


def test_a_round_with_errors_is_no_figure() -> None:
    results = rates(vendor=1_000)
    results.rounds.append(one_round("modelport", "W1", "c64", requests_per_s=90_000.0, errors=1))
    assert line(results, "W1, 64 connections, no batching, beside the vendor").met == "?"


def test_latency_is_better_when_it_is_lower() -> None:
    results = empty()
    for peer, p50_us in (("modelport", 400), ("azureml-inference-server-http", 1000), ("fastapi", 350)):
        results.rounds.append(one_round(peer, "W1", "c1", p50_us=p50_us))
    assert line(results, "W1, 1 connection: median latency").met == "yes"
    lowest = line(results, "W1, 1 connection: the lowest")
    assert (lowest.measured, lowest.met) == ("0.88 times (the quickest: fastapi)", "**no**")


def test_a_feature_costs_the_median_of_the_differences_round_by_round() -> None:
    results = empty()
    for number, (with_it, without) in enumerate(((20.0, 18.0), (30.0, 29.0), (25.0, 21.0)), start=1):
        results.rounds.append(one_round("modelport", "NULL", "c64p16", number=number, cpu_us_per_request=with_it))
        results.rounds.append(
            one_round("modelport-no-auth", "NULL", "c64p16", number=number, cpu_us_per_request=without)
        )
    verdict = line(results, "what authentication costs")
    assert (verdict.measured, verdict.met) == ("2.00 µs (1.0 to 4.0)", "yes")


def test_the_health_of_the_worse_variant_counts() -> None:
    results = empty()
    results.rounds.append(one_round("modelport", "W5", "c64", health_p99_us=1_000))
    results.rounds.append(one_round("modelport-batching", "W5", "c64", health_p99_us=6_000))
    verdict = line(results, "W5, 64 connections: p99")
    assert (verdict.measured, verdict.met) == ("6.00 ms", "**no**")


def test_the_bare_model_is_the_measure_of_w5() -> None:
    results = empty()
    results.bare_per_s = [49.0, 50.0, 51.0]
    results.rounds.append(one_round("modelport", "W5", "c64", requests_per_s=48.0))
    assert line(results, "W5, 64 connections, no batching").measured == "0.96 times"


def test_a_bound_from_above_is_not_reached_by_its_own_value() -> None:
    assert not Bound(limit=5, is_least=False).holds(5)
    assert Bound(limit=5).holds(5)

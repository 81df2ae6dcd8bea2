"""What of a service's workers and limits each of its server processes has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.settings.checks import check_settings
from modelport_scoring.settings.service import MOST_PROCESSES, Autoscale, Limits, RevisionSettings, ServiceSettings
from modelport_scoring.settings.share import DIVIDED, Share
from modelport_scoring.settings.size import Size, size_of

processes = st.integers(1, MOST_PROCESSES)


def shares(count: int) -> list[Share]:
    return [Share(number, count) for number in range(count)]


@given(st.integers(0, 100_000), processes)
def test_the_parts_add_up_and_differ_by_one_at_most(whole: int, count: int) -> None:
    parts = [share.part(whole) for share in shares(count)]
    assert sum(parts) == whole
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] <= 1


def test_what_clients_and_workers_have_together_is_divided_and_nothing_else() -> None:
    limits = Limits(max_connections=101, max_queue_length=11, max_queue_bytes=1001, max_buffered_bytes=10_001)
    parts = [msgspec.structs.asdict(share.limits(limits)) for share in shares(3)]
    for name, whole in msgspec.structs.asdict(limits).items():
        values = [part[name] for part in parts]
        assert sum(values) == whole if name in DIVIDED else values == [whole] * 3, name
    assert {"max_connections", "max_queue_length", "max_queue_bytes", "max_buffered_bytes"} < set(DIVIDED)


def test_a_revision_with_workers_of_its_own_does_not_follow_the_load_as_the_service_does() -> None:
    follows = Autoscale(max_workers=8)
    own = RevisionSettings(number=1, bundle="/b", interpreter=["python"], workers=3)
    service = ServiceSettings(name="n", workspace="w", revision=own, workers=2, autoscale=follows)
    assert size_of(service, own) == Size(workers=3)
    assert size_of(service, msgspec.structs.replace(own, workers=None)) == Size(workers=2, autoscale=follows)
    assert size_of(service, msgspec.structs.replace(own, autoscale=follows)) == Size(workers=3, autoscale=follows)


@pytest.mark.parametrize(
    ("settings", "own", "what"),
    [
        ({"workers": 2, "autoscale": Autoscale(min_workers=1)}, {}, r"workers \(for revision 1\)"),
        ({"workers": 2}, {"workers": 1}, r"workers \(for revision 1\)"),
        ({"workers": 2}, {"limits": {"max_connections": 1}}, r"limits.max_connections \(for revision 1\)"),
    ],
)
def test_each_process_needs_its_part(settings: dict[str, Any], own: dict[str, Any], what: str) -> None:
    revision = RevisionSettings(number=1, bundle="/b", interpreter=["python"], **own)
    wanted = ServiceSettings(name="n", workspace="w", revision=revision, server_processes=2, **settings)
    with pytest.raises(SettingsInvalid, match=rf"^service.json: {what} must be at least server_processes, which is 2"):
        check_settings(wanted, path=Path("service.json"))


def test_workers_and_their_bounds_are_divided() -> None:
    size = Size(workers=5, autoscale=Autoscale(min_workers=3, max_workers=8, calm_s=7.0))
    first, second = (share.size(size) for share in shares(2))
    assert (first.workers, second.workers) == (3, 2)
    assert first.autoscale == Autoscale(min_workers=2, max_workers=4, calm_s=7.0)
    assert second.autoscale == Autoscale(min_workers=1, max_workers=4, calm_s=7.0)

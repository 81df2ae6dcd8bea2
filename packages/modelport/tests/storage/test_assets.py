"""What every MetadataStore promises of assets: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from modelport.domain.assets import Asset
from modelport.domain.errors import ConflictException, UserErrorException
from modelport.storage.interface import MetadataStore

from .conftest import Opener

BODY: dict[str, Any] = {
    "z": {"nested": [1, [2.5, {"deeper": None}], True, False], "": {}},
    "ünïcode 🚲": 'Frau Müller\'s "ключ"\n\\\x00',
    "a": 2**70,
    "1": -0.1,
    "empty": [],
    "a file name of another encoding": "\udcff",
}


def add(store: MetadataStore, name: str = "cluster", kind: str = "compute", **body: Any) -> Asset:
    return store.add_asset(kind, name, body, created_by="me")


def ids(assets: list[Asset]) -> list[str]:
    return [asset.id for asset in assets]


def required(asset: Asset | None) -> Asset:
    assert asset is not None
    return asset


def test_an_asset_comes_back_as_it_was_given(open_store: Opener, store: MetadataStore) -> None:
    before = dt.datetime.now(dt.UTC)
    added = store.add_asset("compute", "cluster", BODY, created_by="Frau Müller")
    assert (added.kind, added.id, added.created_by) == ("compute", "cluster:1", "Frau Müller")
    assert before <= added.created_time == added.updated_time <= dt.datetime.now(dt.UTC)
    found = required(open_store().asset("compute", "cluster"))
    assert found == added
    assert found.created_time.utcoffset() == dt.timedelta(0)
    assert found.body == BODY
    assert list(found.body) == list(BODY)
    assert [type(value) for value in found.body["z"]["nested"]] == [int, list, bool, bool]


def test_an_asset_may_have_an_empty_body(store: MetadataStore) -> None:
    added = add(store)
    assert store.assets("compute") == [added]
    assert required(store.asset("compute", "cluster")).body == {}


def test_a_body_is_returned_as_it_will_be_read(store: MetadataStore) -> None:
    class Text(str, enum.Enum):  # noqa: UP042 - as in code for older Pythons
        VALUE = "value"

    class Number(enum.IntEnum):
        ONE = 1

    added = add(store, tuple=(1, (2,)), text=Text.VALUE, number=Number.ONE)
    assert added.body == {"tuple": [1, [2]], "text": "value", "number": 1}
    assert {type(value) for value in added.body.values()} == {list, str, int}
    assert store.asset("compute", "cluster") == added


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"a": [{"b": float("nan")}]}, r"body\['a'\]\[0\]\['b'\] is nan \(float\)"),
        ({"a": float("inf")}, r"body\['a'\] is inf"),
        ({"a": {1: "x"}}, r"The key 1 in body\['a'\] is of type int"),
        ({1: "x"}, r"The key 1 in the body is of type int"),
        ({"a": b"bytes"}, r"body\['a'\] is b'bytes' \(bytes\)"),
        ({"a": {"set"}}, r"body\['a'\] is {'set'} \(set\)"),
    ],
)
def test_a_body_that_json_would_change_is_refused(store: MetadataStore, body: dict[str, Any], place: str) -> None:
    kept = add(store, kept=True)
    before = store.events()
    with pytest.raises(UserErrorException, match=place):
        store.add_asset("compute", "cluster", body, created_by="me")
    with pytest.raises(UserErrorException, match=place):
        store.replace_asset("compute", "cluster", 1, body)
    assert store.assets("compute") == [kept]
    assert store.events() == before
    assert add(store).version == 2, "no number was used up"


def test_what_the_caller_does_to_a_body_changes_nothing(store: MetadataStore) -> None:
    body = {"list": [1]}
    added = store.add_asset("compute", "cluster", body, created_by="me")
    body["list"].append(2)
    added.body["list"].append(3)
    required(store.asset("compute", "cluster")).body["list"].append(4)
    store.assets("compute")[0].body["list"].append(5)
    assert required(store.asset("compute", "cluster")).body == {"list": [1]}


def test_versions_count_by_kind_and_name_and_are_never_used_again(store: MetadataStore) -> None:
    assert [add(store, "a").version for _ in range(3)] == [1, 2, 3]
    assert add(store, "b").version == 1
    assert add(store, "a", kind="data").version == 1
    assert store.delete_asset("compute", "a", 3) == 1
    assert add(store, "a").version == 4
    assert store.delete_asset("compute", "a") == 3
    assert add(store, "a").version == 5
    assert ids(store.assets("compute")) == ["a:5", "b:1"]
    assert ids(store.assets("data")) == ["a:1"]


def test_assets_are_found_by_name_newest_first(store: MetadataStore) -> None:
    for number in range(11):
        add(store, "b", number=number)
    for name in ("a", "Z", "a-b", "aB", "a_b", "a"):
        add(store, name)
    for _ in range(3):
        add(store, "a", kind="data")
    found = store.assets("compute")
    assert list(dict.fromkeys(asset.name for asset in found)) == ["Z", "a", "a-b", "aB", "a_b", "b"]
    assert ids(store.assets("compute", name="b"))[:3] == ["b:11", "b:10", "b:9"]
    assert ids(store.assets("compute", latest=True)) == ["Z:1", "a:2", "a-b:1", "aB:1", "a_b:1", "b:11"]
    assert ids(store.assets("compute", name="b", latest=True)) == ["b:11"]
    assert required(store.asset("compute", "b")).body == {"number": 10}
    assert required(store.asset("compute", "b", 3)).body == {"number": 2}


def test_the_newest_is_the_newest_that_is_left(store: MetadataStore) -> None:
    for _ in range(3):
        add(store)
    store.delete_asset("compute", "cluster", 3)
    assert required(store.asset("compute", "cluster")).version == 2
    assert ids(store.assets("compute", latest=True)) == ["cluster:2"]


def test_a_unique_asset_is_the_only_one_of_its_name(store: MetadataStore) -> None:
    first = store.add_asset("compute", "cluster", {"n": 1}, created_by="me", unique=True)
    before = store.events()
    with pytest.raises(ConflictException, match=r"There is a compute named 'cluster' already\.") as caught:
        store.add_asset("compute", "cluster", {"n": 2}, created_by="me", unique=True)
    assert caught.value.status_code == 409
    assert store.assets("compute") == [first]
    assert store.events() == before
    store.add_asset("data", "cluster", {}, created_by="me", unique=True)
    store.add_asset("compute", "other", {}, created_by="me", unique=True)
    store.delete_asset("compute", "cluster")
    assert store.add_asset("compute", "cluster", {}, created_by="me", unique=True).version == 2


def test_the_body_of_an_asset_is_replaced(store: MetadataStore) -> None:
    added = [add(store, old=number) for number in range(2)]
    moment = dt.datetime.now(dt.UTC)
    replaced = store.replace_asset("compute", "cluster", 1, BODY)
    assert moment <= replaced.updated_time <= dt.datetime.now(dt.UTC)
    assert replaced == dataclasses.replace(added[0], body=BODY, updated_time=replaced.updated_time)
    assert store.assets("compute") == [added[1], replaced]


def test_what_is_not_there_is_not_found(store: MetadataStore) -> None:
    kept = add(store)
    before = store.events()
    lookups: list[tuple[str, str, int | None]] = [
        ("compute", "none", None),
        ("data", "cluster", None),
        ("compute", "cluster", 2),
        ("none", "cluster", 1),
    ]
    for kind, name, version in lookups:
        assert store.asset(kind, name, version) is None
        assert store.delete_asset(kind, name, version) == 0
        with pytest.raises(UserErrorException, match=rf"{kind} {name}:{version or 1} was not found"):
            store.replace_asset(kind, name, version or 1, {})
    assert store.assets("none") == []
    assert store.assets("compute", name="none", latest=True) == []
    assert store.assets("compute") == [kept]
    assert store.events() == before


def test_every_change_of_an_asset_leaves_an_event(store: MetadataStore) -> None:
    add(store)
    add(store)
    store.replace_asset("compute", "cluster", 1, {})
    store.delete_asset("compute", "cluster")
    happened = store.events(after=1)
    assert [(event.type.value, event.subject) for event in happened] == [
        ("AssetCreated", "assets/compute/cluster:1"),
        ("AssetCreated", "assets/compute/cluster:2"),
        ("AssetUpdated", "assets/compute/cluster:1"),
        ("AssetDeleted", "assets/compute/cluster:1"),
        ("AssetDeleted", "assets/compute/cluster:2"),
    ]
    assert happened[1].data == {"AssetKind": "compute", "AssetName": "cluster", "AssetVersion": "2"}


def at_once(stores: list[MetadataStore], times: int, action: Callable[[MetadataStore], int]) -> list[int]:
    """What the action returned in threads that began together, a store each; 0 for each ConflictException."""
    start = Barrier(len(stores))

    def act(store: MetadataStore) -> list[int]:
        start.wait(timeout=20)
        results = []
        for _ in range(times):
            try:
                results.append(action(store))
            except ConflictException:
                results.append(0)
        return results

    with ThreadPoolExecutor(len(stores)) as threads:
        return [result for results in threads.map(act, stores) for result in results]


def test_adders_at_once_get_consecutive_versions(open_store: Opener, store: MetadataStore) -> None:
    versions = at_once([store, *(open_store() for _ in range(5))], 8, lambda each: add(each).version)
    assert sorted(versions) == list(range(1, 49))
    assert [asset.version for asset in store.assets("compute")] == list(range(48, 0, -1))
    assert [event.number for event in store.events()] == list(range(1, 50))


def test_one_of_the_adders_at_once_makes_the_unique_one(open_store: Opener, store: MetadataStore) -> None:
    def claim(each: MetadataStore) -> int:
        return each.add_asset("compute", "cluster", {}, created_by="me", unique=True).version

    made = at_once([store, *(open_store() for _ in range(5))], 3, claim)
    assert sorted(made) == [0] * 17 + [1]
    assert ids(store.assets("compute")) == ["cluster:1"]


def test_one_of_the_deleters_at_once_deletes(open_store: Opener, store: MetadataStore) -> None:
    add(store)
    add(store)
    deleted = at_once(
        [store, *(open_store() for _ in range(3))], 1, lambda each: each.delete_asset("compute", "cluster")
    )
    assert sorted(deleted) == [0, 0, 0, 2]

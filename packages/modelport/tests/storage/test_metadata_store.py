"""What every MetadataStore promises: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from modelport.domain.errors import (
    ConflictException,
    ModelNotFoundException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
)
from modelport.domain.events import EventType
from modelport.domain.models import ModelChange, ModelFile, ModelFilter, ResourceConfiguration
from modelport.domain.services import ServiceFilter
from modelport.domain.tokens import SigningKey
from modelport.storage.interface import MetadataStore

from . import samples
from .conftest import Opener, workspace_of


def ids(store: MetadataStore, wanted: ModelFilter) -> list[str]:
    return [model.id for model in store.models(wanted)]


def names(store: MetadataStore, wanted: ServiceFilter) -> list[str]:
    return [service.name for service in store.services(wanted)]


def test_the_samples_fill_every_field() -> None:
    """Otherwise the round trips below would not notice a field that is not kept."""
    values = [samples.record("w"), samples.draft(), samples.definition(), samples.revision(1, "m:1"), samples.service()]
    assert [name for value in values for name in samples.fields_left_at_default(value)] == []


# Workspaces


def test_a_workspace_is_created_once(open_store: Opener) -> None:
    first, second = open_store(), open_store()
    assert first.workspace() is None
    record = samples.record(workspace_of(first))
    assert first.create_workspace(record) == record
    assert second.create_workspace(dataclasses.replace(record, id="another")) == record
    assert second.workspace() == record
    assert [event.type for event in second.events()] == [EventType.WORKSPACE_CREATED]


def test_creators_at_once_get_the_same_workspace(open_store: Opener) -> None:
    stores = [open_store() for _ in range(6)]
    start = Barrier(len(stores))
    record = samples.record(workspace_of(stores[0]))

    def create(number: int) -> str:
        start.wait()
        return stores[number].create_workspace(dataclasses.replace(record, id=str(number))).id

    with ThreadPoolExecutor(len(stores)) as threads:
        assert len(set(threads.map(create, range(len(stores))))) == 1


def test_a_workspace_is_updated_where_something_is_given(store: MetadataStore) -> None:
    before = store.workspace()
    assert before is not None
    assert store.update_workspace(tags={"new": "1"}) == dataclasses.replace(before, tags={"new": "1"})
    updated = store.update_workspace(friendly_name="f", description="")
    assert (updated.friendly_name, updated.description, updated.tags) == ("f", "", {"new": "1"})
    assert store.workspace() == updated


def test_nothing_is_kept_before_the_workspace_was_created(open_store: Opener) -> None:
    store = open_store()
    changes: list[Callable[[], object]] = [
        lambda: store.add_model(samples.draft()),
        lambda: store.register_environment(samples.definition()),
        lambda: store.create_service(samples.service()),
        lambda: store.add_asset("compute", "cluster", {}, created_by="me"),
        lambda: store.replace_asset("compute", "cluster", 1, {}),
        lambda: store.delete_asset("compute", "cluster"),
        lambda: store.update_workspace(description="d"),
    ]
    for change in changes:
        with pytest.raises(WorkspaceException, match="does not exist"):
            change()
    assert store.models(ModelFilter()) == []
    assert store.assets("compute") == []
    assert store.events() == []


# Models


def test_a_model_comes_back_as_it_was_given(store: MetadataStore) -> None:
    before = dt.datetime.now(dt.UTC)
    draft = samples.draft()
    added = store.add_model(draft)
    (found,) = store.models(ModelFilter())
    assert found == added
    assert {field.name: getattr(found, field.name) for field in dataclasses.fields(draft)} == vars(draft)
    assert list(found.tags) == ["z", "area"]
    assert found.version == 1
    assert before <= found.created_time <= dt.datetime.now(dt.UTC)
    assert found.created_time.utcoffset() == dt.timedelta(0)


def test_a_model_may_leave_everything_out(store: MetadataStore) -> None:
    bare = samples.draft(
        description=None,
        tags={},
        properties={},
        framework=None,
        framework_version=None,
        resource_configuration=None,
        sample_input=None,
        sample_output=None,
        run_id=None,
        experiment_name=None,
        created_by="",
    )
    added = store.add_model(bare)
    assert store.models(ModelFilter()) == [added]
    assert added.resource_configuration is None


def test_versions_count_by_name_and_are_never_used_again(store: MetadataStore) -> None:
    assert [store.add_model(samples.draft("a")).version for _ in range(3)] == [1, 2, 3]
    assert store.add_model(samples.draft("b")).version == 1
    deleted = store.delete_model("a", 3)
    assert deleted.id == "a:3"
    assert store.add_model(samples.draft("a")).version == 4
    assert ids(store, ModelFilter()) == ["a:4", "a:2", "a:1", "b:1"]


def test_a_version_may_have_its_number_from_elsewhere(store: MetadataStore) -> None:
    assert store.add_model(samples.draft(), version=4).version == 4
    assert store.add_model(samples.draft()).version == 5
    for taken in (3, 5):
        with pytest.raises(ConflictException, match="5 was given out already"):
            store.add_model(samples.draft(), version=taken)
    store.delete_model(samples.draft().name, 5)
    with pytest.raises(ConflictException):
        store.add_model(samples.draft(), version=5)
    assert store.add_model(samples.draft(), version=9).version == 9
    assert [model.version for model in store.models(ModelFilter())] == [9, 4]


def test_names_are_in_the_order_of_their_characters(store: MetadataStore) -> None:
    for name in ("b", "a", "Z", "a-b", "aB", "a_b", "10", "9"):
        store.add_model(samples.draft(name))
    assert [model.name for model in store.models(ModelFilter())] == ["10", "9", "Z", "a", "a-b", "aB", "a_b", "b"]


@pytest.fixture
def several(store: MetadataStore) -> MetadataStore:
    """a:1 to a:3 and b:1, with different tags."""
    store.add_model(samples.draft("a", tags={"k": "1"}, properties={"p": "1"}, run_id="r1", framework="Onnx"))
    store.add_model(samples.draft("a", tags={"k": "2", "l": "1"}, properties={}, run_id=None, framework=None))
    store.add_model(samples.draft("a", tags={}, properties={"k": "1"}, run_id="r1"))
    store.add_model(samples.draft("b", tags={"k": "1", "l": "2"}, properties={"p": "2"}, run_id="r2"))
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ModelFilter(name="a"), ["a:3", "a:2", "a:1"]),
        (ModelFilter(name="a", version=2), ["a:2"]),
        (ModelFilter(version=1), ["a:1", "b:1"]),
        (ModelFilter(name="none"), []),
        (ModelFilter(run_id="r1"), ["a:3", "a:1"]),
        (ModelFilter(framework="Onnx"), ["a:1"]),
        (ModelFilter(tags=["k"]), ["a:2", "a:1", "b:1"]),
        (ModelFilter(tags=[("k", "1")]), ["a:1", "b:1"]),
        (ModelFilter(tags=[["k", "1"], "l"]), ["b:1"]),
        (ModelFilter(tags=[["l"]]), ["a:2", "b:1"]),
        (ModelFilter(properties=["k"]), ["a:3"]),
        (ModelFilter(properties=[("p", "2")], tags=["k"]), ["b:1"]),
        (ModelFilter(latest=True), ["a:3", "b:1"]),
        (ModelFilter(latest=True, tags=["k"]), ["a:2", "b:1"]),
        (ModelFilter(latest=True, name="a", tags=[("k", "1")]), ["a:1"]),
    ],
)
def test_models_are_found_by_every_field(several: MetadataStore, wanted: ModelFilter, expected: Sequence[str]) -> None:
    assert ids(several, wanted) == expected


def test_the_given_fields_of_a_model_are_replaced(store: MetadataStore) -> None:
    model = store.add_model(samples.draft())
    store.add_model(samples.draft())
    changed = store.change_model("ridge", 1, ModelChange(tags={"b": "1", "a": "2"}, description=""))
    assert changed == dataclasses.replace(model, tags={"b": "1", "a": "2"}, description="")
    rest = ModelChange(
        properties={"p": "1"},
        sample_input="i",
        sample_output="o",
        resource_configuration=ResourceConfiguration(cpu=1),
    )
    changed = store.change_model("ridge", 1, rest)
    (found,) = store.models(ModelFilter(version=1))
    assert found == changed
    assert (found.properties, found.sample_input, found.sample_output) == ({"p": "1"}, "i", "o")
    assert found.resource_configuration == ResourceConfiguration(cpu=1)
    (other,) = store.models(ModelFilter(version=2))
    assert other.tags == samples.draft().tags


def test_what_is_not_there_is_not_changed_and_not_deleted(store: MetadataStore) -> None:
    store.add_model(samples.draft())
    with pytest.raises(ModelNotFoundException, match="ridge:2"):
        store.change_model("ridge", 2, ModelChange(tags={}))
    with pytest.raises(ModelNotFoundException, match="none:1"):
        store.delete_model("none", 1)


def test_a_model_of_a_kept_revision_is_not_deleted(store: MetadataStore) -> None:
    for _ in range(3):
        store.add_model(samples.draft())
    two = samples.service("two", samples.revision(1, "ridge:1"), samples.revision(2, "ridge:2", "ridge:1"))
    store.create_service(samples.service("one", samples.revision(1, "ridge:1")))
    store.create_service(two)
    with pytest.raises(ConflictException, match=r"ridge:1.*: one, two\."):
        store.delete_model("ridge", 1)
    with pytest.raises(ConflictException, match="two"):
        store.delete_model("ridge", 2)
    store.delete_model("ridge", 3)
    store.delete_service("one")
    store.update_service(dataclasses.replace(two, revisions=(samples.revision(3, "ridge:2"),), active_revision=3))
    store.delete_model("ridge", 1)
    assert ids(store, ModelFilter()) == ["ridge:2"]


def test_an_object_is_referenced_while_a_version_has_it(store: MetadataStore) -> None:
    a, b = samples.digest("a"), samples.digest("b")
    store.add_model(samples.draft(files=(ModelFile("f", 1, a),)))
    store.add_model(samples.draft(files=(ModelFile("f", 1, a), ModelFile("g", 1, b))))
    store.delete_model("ridge", 2)
    assert store.referenced_objects([a, b, "unknown"]) == {a}
    assert store.referenced_objects([b]) == set()
    assert store.referenced_objects([]) == set()
    assert store.referenced_objects([str(number) for number in range(70_000)] + [a]) == {a}


def test_a_model_may_have_many_files(store: MetadataStore) -> None:
    files = tuple(ModelFile(f"m/{number:05}", number, f"{number:064x}") for number in range(2500))
    store.add_model(samples.draft(files=files))
    (found,) = store.models(ModelFilter())
    assert found.files == files
    assert store.delete_model("ridge", 1).files == files
    assert store.referenced_objects([file.sha256 for file in files]) == set()


# Environments


def test_an_environment_gets_a_new_version_when_it_changes(store: MetadataStore) -> None:
    first = store.register_environment(samples.definition())
    assert first.version == "1"
    assert first.definition == samples.definition()
    assert store.register_environment(samples.definition()) == first
    second = store.register_environment(samples.definition(environment_variables={}))
    assert second.version == "2"
    assert store.register_environment(samples.definition()).version == "3"
    store.register_environment(samples.definition("other"))
    found = [(each.definition.name, each.version) for each in store.environments()]
    assert found == [("other", "1"), ("sklearn", "3"), ("sklearn", "2"), ("sklearn", "1")]
    assert store.environments("sklearn")[1] == second
    assert store.environments("none") == []


def test_the_newest_version_of_an_environment_is_found_past_nine(store: MetadataStore) -> None:
    for number in range(11):
        store.register_environment(samples.definition(inferencing_stack_version=str(number)))
    assert [each.version for each in store.environments("sklearn")][:3] == ["11", "10", "9"]


# Services


def test_a_service_comes_back_as_it_was_given(store: MetadataStore) -> None:
    store.add_model(samples.draft())
    kept = samples.service("diabetes", samples.revision(4, "ridge:1"), samples.revision(7, "ridge:1", "ridge:1"))
    store.create_service(kept)
    assert store.service("diabetes") == kept
    assert store.services(ServiceFilter()) == [kept]
    assert store.service("none") is None
    found = store.service("diabetes")
    assert found is not None
    assert list(found.tags) == ["z", "area"]
    assert list(found.active.environment_variables) == ["Z", "A"]


def test_times_come_back_in_utc(store: MetadataStore) -> None:
    there = dt.timezone(dt.timedelta(hours=-7))
    store.create_service(samples.service(created_time=samples.NOW.astimezone(there)))
    found = store.service("diabetes")
    assert found is not None
    assert found.created_time == samples.NOW
    assert found.created_time.utcoffset() == dt.timedelta(0)


def test_a_service_is_replaced(store: MetadataStore) -> None:
    store.create_service(samples.service())
    store.create_service(samples.service("other"))
    bare = samples.service(tags={}, properties={"new": "1"}, keys=None, failure=None, port=None, description=None)
    store.update_service(bare)
    assert store.service("diabetes") == bare
    assert store.service("other") == samples.service("other")


def test_the_name_of_a_service_is_taken_once(store: MetadataStore) -> None:
    store.create_service(samples.service())
    with pytest.raises(ConflictException, match="diabetes"):
        store.create_service(samples.service(description="another"))
    store.delete_service("diabetes")
    store.delete_service("diabetes")
    store.create_service(samples.service())


def test_a_service_that_is_not_there_is_not_updated(store: MetadataStore) -> None:
    with pytest.raises(WebserviceException, match=r"WebserviceNotFound.*diabetes"):
        store.update_service(samples.service())


def test_a_service_needs_its_models(store: MetadataStore) -> None:
    store.add_model(samples.draft())
    kept = samples.service("diabetes", samples.revision(1, "ridge:1"))
    with pytest.raises(ModelNotFoundException, match=r"ridge:2, none:1"):
        store.create_service(samples.service("diabetes", samples.revision(1, "ridge:1", "ridge:2", "none:1")))
    assert store.service("diabetes") is None
    store.create_service(kept)
    with pytest.raises(ModelNotFoundException, match=r"ridge:2"):
        store.update_service(samples.service("diabetes", samples.revision(2, "ridge:2")))
    assert store.service("diabetes") == kept


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ServiceFilter(), ["one", "two"]),
        (ServiceFilter(compute_type="ACI"), ["two"]),
        (ServiceFilter(compute_type="aci"), ["two"]),
        (ServiceFilter(model_name="a"), ["one"]),
        (ServiceFilter(model_name="b"), ["one", "two"]),
        (ServiceFilter(model_id="b:1"), ["two"]),
        (ServiceFilter(model_id="b:2"), ["one"]),
        (ServiceFilter(model_id="b:3"), []),
        (ServiceFilter(tags=("k",)), ["one", "two"]),
        (ServiceFilter(tags=(("k", "2"),)), ["two"]),
        (ServiceFilter(properties=(("k", "2"),)), []),
        (ServiceFilter(properties=("p",), model_name="b"), ["one"]),
    ],
)
def test_services_are_found_by_every_field(store: MetadataStore, wanted: ServiceFilter, expected: list[str]) -> None:
    for name in ("a", "b", "b"):
        store.add_model(samples.draft(name))
    earlier, later = samples.revision(1, "a:1"), samples.revision(2, "b:1")
    store.create_service(samples.service("two", earlier, later, compute_type="ACI", tags={"k": "2"}, properties={}))
    store.create_service(samples.service("one", samples.revision(1, "a:1", "b:2"), tags={"k": "1"}))
    assert names(store, wanted) == expected


def test_an_endpoint_has_the_models_of_all_its_versions(store: MetadataStore) -> None:
    for name in ("a", "b"):
        store.add_model(samples.draft(name))
    revisions = (samples.revision(1, "a:1"), samples.revision(2, "b:1"))
    versions = (samples.version("blue", 1), samples.version("green", 2))
    endpoint = samples.service("two", *revisions, compute_type="AKSENDPOINT", versions=versions)
    store.create_service(endpoint)
    store.create_service(samples.service("one", *revisions))
    assert names(store, ServiceFilter(model_name="a")) == ["two"]
    assert names(store, ServiceFilter(model_id="b:1")) == ["one", "two"]
    found = store.service("two")
    assert found == endpoint
    assert found.model_ids == ("b:1", "a:1")


def test_a_malformed_model_id_is_refused(store: MetadataStore) -> None:
    store.create_service(samples.service())
    with pytest.raises(UserErrorException, match="name:version"):
        store.services(ServiceFilter(model_id="ridge"))


# Events


def test_every_change_leaves_an_event(store: MetadataStore) -> None:
    store.update_workspace(description="new")
    store.add_model(samples.draft())
    store.change_model("ridge", 1, ModelChange(tags={}))
    store.register_environment(samples.definition())
    store.register_environment(samples.definition())
    store.create_service(samples.service("diabetes", samples.revision(1, "ridge:1")))
    store.update_service(samples.service())
    store.delete_service("diabetes")
    store.delete_service("diabetes")
    store.delete_model("ridge", 1)
    happened = store.events()
    assert [event.number for event in happened] == list(range(1, 10))
    assert [(event.type.value, event.subject) for event in happened[1:]] == [
        ("WorkspaceUpdated", f"workspaces/{workspace_of(store)}"),
        ("ModelRegistered", "models/ridge:1"),
        ("ModelUpdated", "models/ridge:1"),
        ("EnvironmentRegistered", "environments/sklearn:1"),
        ("ServiceCreated", "services/diabetes"),
        ("ServiceUpdated", "services/diabetes"),
        ("ServiceDeleted", "services/diabetes"),
        ("ModelDeleted", "models/ridge:1"),
    ]
    assert happened[2].data == {"ModelName": "ridge", "ModelVersion": "1"}
    assert happened[5].data == {"ServiceName": "diabetes", "ServiceComputeType": "LOCAL", "ModelIds": "ridge:1"}
    assert all(event.time.utcoffset() == dt.timedelta(0) for event in happened)
    assert [event.number for event in store.events(after=3, limit=2)] == [4, 5]
    assert store.events(after=9) == []


def test_a_refused_change_leaves_no_event(store: MetadataStore) -> None:
    store.create_service(samples.service())
    before = store.events()
    with pytest.raises(ConflictException):
        store.create_service(samples.service())
    with pytest.raises(ModelNotFoundException):
        store.delete_model("ridge", 1)
    assert store.events() == before


# Several at once


def test_threads_and_connections_get_consecutive_versions(open_store: Opener, store: MetadataStore) -> None:
    stores = [store, open_store(), open_store()]

    def register(number: int) -> int:
        return stores[number % 3].add_model(samples.draft()).version

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(register, range(48))) == list(range(1, 49))
    assert [event.number for event in store.events()] == list(range(1, 50))


def test_a_model_is_either_deleted_or_deployed(open_store: Opener, store: MetadataStore) -> None:
    other = open_store()
    start = Barrier(2)

    def delete(version: int) -> bool:
        start.wait()
        try:
            store.delete_model("ridge", version)
        except ConflictException:
            return False
        return True

    def deploy(version: int) -> bool:
        start.wait()
        service = samples.service(f"service{version}", samples.revision(1, f"ridge:{version}"))
        try:
            other.create_service(service)
        except ModelNotFoundException:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            version = store.add_model(samples.draft()).version
            deleted, deployed = threads.submit(delete, version), threads.submit(deploy, version)
            assert deleted.result() != deployed.result()
            assert len(store.models(ModelFilter(version=version))) == deployed.result()


# Keys that sign access tokens


def test_a_signing_key_is_kept_once(store: MetadataStore) -> None:
    assert store.signing_keys() == []
    first = samples.signing_key(accepted_until=None)
    assert store.keep_signing_key(first) == first
    assert store.keep_signing_key(samples.signing_key("late")) == first
    assert store.signing_keys() == [first]
    assert [event.data["KeyId"] for event in store.events() if event.type is EventType.TOKEN_KEY_CREATED] == ["first"]


def test_makers_at_once_get_the_same_signing_key(open_store: Opener) -> None:
    stores = [open_store() for _ in range(6)]
    stores[0].create_workspace(samples.record(workspace_of(stores[0])))
    start = Barrier(len(stores))

    def make(number: int) -> SigningKey:
        start.wait(timeout=20)
        return stores[number].keep_signing_key(samples.signing_key(str(number)))

    with ThreadPoolExecutor(len(stores)) as threads:
        made = list(threads.map(make, range(len(stores))))
    assert set(made) == set(stores[0].signing_keys())
    assert len(set(made)) == 1


def test_a_rotated_signing_key_is_accepted_while_its_tokens_last(store: MetadataStore) -> None:
    hour = dt.timedelta(hours=1)
    first = store.keep_signing_key(samples.signing_key("first"))
    second, third = (samples.signing_key(name, created_time=samples.NOW + hour * n) for n, name in ((1, "2"), (2, "3")))
    store.rotate_signing_key(second, accepted_until=samples.NOW + hour * 1.5)
    before = dataclasses.replace(first, accepted_until=samples.NOW + hour * 1.5)
    assert store.signing_keys() == [second, before]
    store.rotate_signing_key(third, accepted_until=samples.NOW + hour * 9)
    after = dataclasses.replace(second, accepted_until=samples.NOW + hour * 9)
    assert store.signing_keys() == [third, after], "the time of the first one is over"


def test_revoked_signing_keys_are_forgotten(store: MetadataStore) -> None:
    store.keep_signing_key(samples.signing_key("first"))
    store.rotate_signing_key(samples.signing_key("second"), accepted_until=samples.NOW + dt.timedelta(days=1))
    third = samples.signing_key("third")
    store.rotate_signing_key(third, accepted_until=None)
    assert store.signing_keys() == [third]

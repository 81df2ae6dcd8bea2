"""The tables and their migrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from modelport.domain.errors import StoreException
from modelport.domain.models import ModelFilter
from modelport.domain.services import LocalDeployment
from modelport.storage.sql import open_sql
from modelport.storage.sql.database import Database, connect
from modelport.storage.sql.schema import REVISIONS, VERSION_TABLE, bring_up_to_date
from modelport.storage.sql.tables import metadata
from modelport.storage.sql.upgrade import configuration

from . import samples


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    """Without tables."""
    database = connect(empty_database, lock_timeout_s=5)
    yield database
    database.engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_has(database: Database) -> None:
    bring_up_to_date(database)
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []


def test_the_comparison_would_notice(database: Database) -> None:
    bring_up_to_date(database)
    with database.writing("w") as connection:
        connection.exec_driver_sql("ALTER TABLE modelport_models DROP COLUMN run_id")
        connection.exec_driver_sql("DROP INDEX modelport_model_files_by_content")
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = {difference[0] for difference in compare_metadata(context, metadata)}
    assert found == {"add_column", "add_index"}


def test_the_code_knows_every_migration() -> None:
    scripts = ScriptDirectory.from_config(configuration()).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_database_of_an_earlier_release_is_brought_up_to_date(
    database: Database, empty_database: str, revision: str
) -> None:
    config = configuration()
    with database.upgrading() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        values = {"name": "w", "id": "i", "created_time": samples.NOW, "sku": "basic", "tags": {"kept": "1"}}
        cloud = {"subscription_id": "", "resource_group": "", "location": "local"}
        connection.execute(sa.insert(metadata.tables["modelport_workspaces"]).values({**values, **cloud}))
    store = open_sql(empty_database, workspace="w")
    record = store.workspace()
    assert record is not None
    assert record.tags == {"kept": "1"}
    store.keep_signing_key(samples.signing_key())
    assert store.add_asset("compute", "cluster", {"n": [1]}, created_by="me").version == 1
    store.close()


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    for _ in range(2):
        bring_up_to_date(database)
    with database.reading() as connection:
        tables = set(sa.inspect(connection).get_table_names())
    assert tables == {*metadata.tables, VERSION_TABLE}


def test_an_upgrade_that_fails_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelport.storage.sql import upgrade

    def run_half(connection: sa.Connection) -> None:
        metadata.tables["modelport_workspaces"].create(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(upgrade, "run", run_half)
        with pytest.raises(KeyboardInterrupt):
            bring_up_to_date(database)
    with database.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    bring_up_to_date(database)


def test_upgraders_of_new_files_wait_for_each_other(folder_in_memory: Path) -> None:
    """A switch to WAL fails at once, without waiting, where another one is under way; it takes many tries to see it."""
    files, upgraders = 60, 6
    start = Barrier(upgraders)

    def upgrade_all(number: int) -> None:
        for file in range(files):
            database = connect(folder_in_memory / f"{file}.db", lock_timeout_s=10)
            start.wait(timeout=20)
            with database.upgrading() as connection:
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS made (once INTEGER)")
            database.engine.dispose()

    with ThreadPoolExecutor(upgraders) as threads:
        list(threads.map(upgrade_all, range(upgraders)))


def test_a_newer_database_is_left_alone(database: Database, empty_database: str) -> None:
    bring_up_to_date(database)
    with database.writing("w") as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreException, match=r"newer Modelport.*9999") as caught:
        open_sql(empty_database, workspace="w")
    assert "Upgrade Modelport" in caught.value.hint


def test_tables_of_other_programs_are_left_alone(database: Database, empty_database: str) -> None:
    with database.writing("w") as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
        connection.exec_driver_sql("CREATE TABLE models (name VARCHAR(32))")
    store = open_sql(empty_database, workspace="w")
    store.create_workspace(samples.record("w"))
    assert store.add_model(samples.draft()).version == 1
    store.close()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "theirs"


def test_workspaces_share_a_database_and_nothing_else(empty_database: str) -> None:
    stores = [open_sql(empty_database, workspace=name) for name in ("one", "two")]
    for store, name in zip(stores, ("one", "two"), strict=True):
        store.create_workspace(samples.record(name))
    one, two = stores
    one.add_model(samples.draft())
    one.add_model(samples.draft())
    one.register_environment(samples.definition())
    one.create_service(samples.service("diabetes", samples.revision(1, "ridge:1")))
    one.add_asset("compute", "cluster", {}, created_by="me", unique=True)
    assert two.models(ModelFilter()) == []
    assert two.asset("compute", "cluster") is None
    assert two.delete_asset("compute", "cluster") == 0
    assert two.environments() == []
    assert two.service("diabetes") is None
    assert two.referenced_objects([samples.digest("a")]) == set()
    assert [event.subject for event in two.events()] == ["workspaces/two"]
    assert two.add_model(samples.draft()).version == 1
    two.delete_model("ridge", 1)
    assert len(one.models(ModelFilter())) == 2
    assert two.add_asset("compute", "cluster", {"n": 2}, created_by="me", unique=True).version == 1
    assert [asset.body for asset in one.assets("compute", latest=True)] == [{}]
    assert two.replace_asset("compute", "cluster", 1, {"n": 3}).body == {"n": 3}
    assert two.delete_asset("compute", "cluster") == 1
    assert [asset.body for asset in one.assets("compute")] == [{}]
    for store in stores:
        store.close()


def test_the_database_itself_refuses_to_lose_a_model_in_use(database: Database, empty_database: str) -> None:
    store = open_sql(empty_database, workspace="w")
    store.create_workspace(samples.record("w"))
    store.add_model(samples.draft())
    store.create_service(samples.service("diabetes", samples.revision(1, "ridge:1")))
    with pytest.raises(StoreException, match=r"(?i)foreign key"), database.writing("w") as connection:
        connection.exec_driver_sql("DELETE FROM modelport_models")
    store.close()


def test_a_service_that_an_earlier_release_wrote_is_read(database: Database, empty_database: str) -> None:
    """Its deployment has no settings that came later, such as batching; a bare one has none at all."""
    store = open_sql(empty_database, workspace="w")
    store.create_workspace(samples.record("w"))
    store.create_service(samples.service())
    first = {"port": 8890, "host": None, "auth_enabled": True, "workers": 2, "error_mode": None, "limits": {"a": 1}}
    for document, expected in (
        (first, LocalDeployment(port=8890, auth_enabled=True, workers=2, limits={"a": 1})),
        ({}, LocalDeployment()),
    ):
        with database.writing("w") as connection:
            connection.execute(
                sa.text("UPDATE modelport_services SET deployment = :document"), {"document": json.dumps(document)}
            )
        found = store.service("diabetes")
        assert found is not None
        assert found.deployment == expected
        store.update_service(found)
        assert store.service("diabetes") == found
    store.close()

"""Datastores and data sets (azureml-v1 reference, 2.12), with the pandas of this environment."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from modelport import Dataset, Datastore, Workspace
from modelport.exceptions import UserErrorException
from modelport.sdk.data import (
    AzureBlobDatastore,
    AzureFileDatastore,
    DataPath,
    DataReference,
    DataType,
    FileDataset,
    PromoteHeadersBehavior,
    TabularDataset,
)

from .conftest import Write


@pytest.fixture
def store(workspace: Workspace) -> AzureBlobDatastore:
    found = workspace.get_default_datastore()
    assert isinstance(found, AzureBlobDatastore)
    return found


# --- datastores -------------------------------------------------------------------------------------------------------


def test_what_every_workspace_has(workspace: Workspace, store: AzureBlobDatastore) -> None:
    assert (store.name, store.datastore_type, store.is_default) == ("workspaceblobstore", "AzureBlob", True)
    assert store.container_name.startswith("azureml-blobstore-")
    assert isinstance(workspace.datastores["workspacefilestore"], AzureFileDatastore)
    assert Datastore(workspace).name == Datastore.get(workspace, "workspaceblobstore").name
    with pytest.raises(AttributeError, match="no attribute 'unheard_of'"):
        store.unheard_of  # noqa: B018 - it is looked up
    with pytest.raises(UserErrorException, match="Unable to find a datastore with name 'nothing'"):
        Datastore.get(workspace, "nothing")
    with pytest.raises(UserErrorException, match="stays"):
        store.unregister()


def test_files_go_up_and_come_down(
    store: AzureBlobDatastore, write: Write, cwd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("src/a.csv", "first")
    write("src/deep/b.csv", "b")
    reference = store.upload("src", "up", show_progress=True)
    assert isinstance(reference, DataReference)
    assert "Uploading an estimated of 2 files\n" in capsys.readouterr().out
    write("src/a.csv", "second")
    store.upload_files(["src/a.csv"], target_path="up", show_progress=False)
    assert capsys.readouterr().out == "Target already exists. Skipping upload for up/a.csv\n"
    assert (Path(store.folder) / "up/a.csv").read_text() == "first"
    store.upload_files(["src/a.csv", "src/deep/b.csv"], "src", "up", overwrite=True)
    assert store.download("down", prefix="up", show_progress=False) == 2
    assert store.download("down", prefix="up/deep") == 0
    assert (cwd / "down/up/a.csv").read_text() == "second"
    assert str(store.path("up").as_mount()).startswith("$AZUREML_DATAREFERENCE_")
    for files, root, target in (
        (["nothing.csv"], None, None),
        (["src/a.csv"], "src/deep", None),
        (["src/a.csv"], None, "../../outside"),
    ):
        with pytest.raises(UserErrorException):
            store.upload_files(files, root, target)
    with pytest.raises(UserErrorException, match="no folder 'nowhere'"):
        store.upload("nowhere")


def test_a_cloud_is_recorded_and_not_asked(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    made = Datastore.register_azure_blob_container(
        workspace, "pictures", "container", "account", account_key="a secret key", sas_token="a secret token"
    )
    assert "Azure is not contacted" in capsys.readouterr().out
    assert (made.account_name, made.container_name, made.protocol) == ("account", "container", "https")
    Datastore.register_azure_blob_container(workspace, "pictures", "container", "account")  # again, the same
    with pytest.raises(UserErrorException, match="with other details"):
        Datastore.register_azure_blob_container(workspace, "pictures", "another", "account")
    Datastore.register_azure_blob_container(workspace, "pictures", "another", "account", overwrite=True)
    assert workspace.datastores["pictures"].container_name == "another"
    made.set_as_default()
    assert workspace.get_default_datastore().name == "pictures"
    workspace.set_default_datastore("workspacefilestore")
    assert workspace.get_default_datastore().name == "workspacefilestore"
    workspace.set_default_datastore("workspaceblobstore")
    share = Datastore.register_azure_file_share(workspace, "share", "the-share", "account")
    lake = Datastore.register_azure_data_lake_gen2(workspace, "lake", "fs", "account", tenant_id="t", client_id="c")
    assert (type(share), lake.datastore_type, lake.filesystem) == (AzureFileDatastore, "AzureDataLakeGen2", "fs")
    for name in ("pictures", "share", "lake"):
        workspace.datastores[name].unregister()
    assert set(workspace.datastores) == {"workspaceblobstore", "workspacefilestore"}
    for name in ("no-dashes", "workspaceblobstore", ""):
        with pytest.raises(UserErrorException):
            Datastore.register_dbfs(workspace, name)
    everything = b"".join(path.read_bytes() for path in workspace.folder.rglob("*") if path.is_file())
    assert b"a secret" not in everything


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_read_as_v1_read_it(store: AzureBlobDatastore, write: Write) -> None:
    write("t/a.csv", "day,n,price,ok,name\n2019-08-01,1,1.5,True,x\n2019-08-02,,2,False,\n")
    write("t/b.csv", "day,n,price,ok,name\n2019-08-03,3,3,True,z\n")
    store.upload("t", "table", overwrite=True, show_progress=False)
    table = Dataset.Tabular.from_delimited_files(path=(store, "table/*.csv"))
    frame = table.to_pandas_dataframe()
    assert list(frame.columns) == ["day", "n", "price", "ok", "name"]
    assert [each.kind for each in frame.dtypes] == ["M", "f", "f", "b", "O"]
    assert frame["day"].tolist()[2] == dt.datetime(2019, 8, 3)
    assert frame["name"].isnull().tolist() == [False, True, False]
    assert len(table.take(2).to_pandas_dataframe()) == 2
    assert table.skip(2).to_pandas_dataframe()["name"].tolist() == ["z"]
    assert list(table.keep_columns(["name", "n"]).to_pandas_dataframe().columns) == ["name", "n"]
    assert "ok" not in table.drop_columns("ok").to_pandas_dataframe().columns
    first, second = table.random_split(0.5, seed=3)
    assert len(first.to_pandas_dataframe()) + len(second.to_pandas_dataframe()) == 3
    with pytest.raises(UserErrorException, match="no column 'none'; there are: day, n"):
        table.keep_columns("none").to_pandas_dataframe()


@pytest.mark.parametrize(
    ("arguments", "columns", "rows"),
    [
        ({}, ["1", "2"], [["3", "x"], ["1", "2"], ["5", "y"]]),
        ({"header": False}, ["Column1", "Column2"], [["1", "2"], ["3", "x"], ["1", "2"], ["5", "y"]]),
        (
            {"header": PromoteHeadersBehavior.ONLY_FIRST_FILE_HAS_HEADERS},
            ["1", "2"],
            [["3", "x"], ["1", "2"], ["5", "y"]],
        ),
    ],
)
def test_headers(write: Write, arguments: dict[str, Any], columns: list[str], rows: list[list[str]]) -> None:
    write("h/a.csv", "1,2\n3,x\n")
    write("h/b.csv", "1,2\n5,y\n")
    if arguments == {}:
        rows = [rows[0], rows[2]]
    frame = Dataset.Tabular.from_delimited_files("h", infer_column_types=False, **arguments).to_pandas_dataframe()
    assert (list(frame.columns), frame.values.tolist()) == (columns, rows)


def test_types_that_are_asked_for(write: Write) -> None:
    write("types.tsv", "id\tn\twhen\n007\t1\t03/08/2019\n008\tx\t4.8.2019\n")
    table = Dataset.Tabular.from_delimited_files(
        "types.tsv",
        separator="\t",
        set_column_types={
            "id": DataType.to_string(),
            "n": DataType.to_float(),
            "when": DataType.to_datetime(["%d/%m/%Y", "%d.%m.%Y"]),
        },
    )
    frame = table.to_pandas_dataframe()
    assert frame["id"].tolist() == ["007", "008"]
    assert frame["n"].isnull().tolist() == [False, True]
    assert frame["when"].tolist() == [dt.datetime(2019, 8, 3), dt.datetime(2019, 8, 4)]
    with pytest.raises(UserErrorException, match="column 'n' is not of type float"):
        table.to_pandas_dataframe(on_error="fail")


def test_lines_of_json_and_a_data_frame(workspace: Workspace, store: AzureBlobDatastore, write: Write) -> None:
    import pandas as pd

    write("lines.jsonl", '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    frame = Dataset.Tabular.from_json_lines_files("lines.jsonl").to_pandas_dataframe()
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    kept = Dataset.Tabular.register_pandas_dataframe(
        pd.DataFrame({"a": [1, 2]}), (store, "frames"), "a frame", show_progress=False
    )
    assert workspace.datasets["a frame"].to_pandas_dataframe()["a"].tolist() == [1, 2]
    assert kept.version == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://example.org/data.csv", "not on this machine, and nothing is fetched"),
        ("nothing.csv", "Cannot load any data from the specified path"),
        (5, "no path"),
        (("not a datastore", "x"), "no datastore"),
    ],
)
def test_paths_that_lead_nowhere(cwd: Path, path: Any, message: str) -> None:
    with pytest.raises(UserErrorException, match=message):
        Dataset.Tabular.from_delimited_files(path)
    with pytest.raises(UserErrorException, match="partition_format"):
        Dataset.File.from_files(".", partition_format="/{x}/y.csv")


# --- names and versions -----------------------------------------------------------------------------------------------


def test_names_and_versions(workspace: Workspace, store: AzureBlobDatastore, write: Write) -> None:
    write("v/a.csv", "a\n1\n")
    write("v/b.csv", "a\n2\n")
    store.upload("v", "versions", overwrite=True, show_progress=False)
    one = Dataset.Tabular.from_delimited_files(store.path("versions/a.csv"))
    other = Dataset.Tabular.from_delimited_files(DataPath(store, "versions/b.csv"))
    first = one.register(workspace, "rows", "the first", {"a": "1"})
    assert one.register(workspace, "rows").version == 1
    with pytest.raises(UserErrorException, match='already a dataset registered under name "rows"'):
        other.register(workspace, "rows")
    second = other.register(workspace, "rows", create_new_version=True)
    assert (first.name, first.version, first.description, first.tags) == ("rows", 1, "the first", {"a": "1"})
    assert second.version == 2
    latest = Dataset.get_by_name(workspace, "rows")
    assert (type(latest), latest.version) == (TabularDataset, 2)
    assert Dataset.get_by_name(workspace, "rows", version=1).to_pandas_dataframe()["a"].tolist() == [1]
    assert Dataset.get_by_id(workspace, first.id).version == 1
    first.add_tags({"b": "2"})
    first.remove_tags(["a"])
    first.update(description="changed")
    again = Dataset.get_by_name(workspace, "rows", 1)
    assert (again.tags, again.description) == ({"b": "2"}, "changed")
    with pytest.raises(UserErrorException, match="no version 3"):
        Dataset.get_by_name(workspace, "rows", 3)
    with pytest.raises(UserErrorException, match="Cannot find dataset registered with name 'none'"):
        Dataset.get_by_name(workspace, "none")
    latest.unregister_all_versions()
    assert "rows" not in Dataset.get_all(workspace)
    assert Dataset.get_by_id(workspace, one.id).name is None
    with pytest.raises(UserErrorException, match="not registered"):
        one.add_tags({})


# --- files ------------------------------------------------------------------------------------------------------------


def test_files(store: AzureBlobDatastore, write: Write, cwd: Path) -> None:
    for name in ("f/1.txt", "f/2.txt", "f/deep/3.txt"):
        write(name, name)
    everything = Dataset.File.upload_directory("f", (store, "files"), show_progress=False)
    assert isinstance(everything, FileDataset)
    assert everything.to_path() == ["/1.txt", "/2.txt", "/deep/3.txt"]
    assert Dataset.File.from_files([(store, "files/*.txt")]).to_path() == ["/1.txt", "/2.txt"]
    assert Dataset.File.from_files("f/**/3.txt").to_path() == ["/deep/3.txt"]
    copies = everything.download("copies")
    assert [Path(path).read_text() for path in copies] == ["f/1.txt", "f/2.txt", "f/deep/3.txt"]
    with pytest.raises(UserErrorException, match="overwrite=True"):
        everything.download("copies")
    with everything.take(1).mount() as mounted:
        assert [path.name for path in Path(mounted.mount_point).iterdir()] == ["1.txt"]
    assert not Path(mounted.mount_point).exists()
    first, second = everything.random_split(0.5, seed=1)
    assert sorted([*first.to_path(), *second.to_path()]) == everything.to_path()
    with pytest.raises(UserErrorException, match="no table"):
        everything.to_pandas_dataframe()
    with pytest.raises(UserErrorException, match="Invalid name of an input"):
        everything.as_named_input("not a name")

"""Finding and making workspaces: by name, by ``config.json``, by several processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import Model, ResourceConfiguration, Workspace
from modelport.domain.errors import UserErrorException, WebserviceException, WorkspaceException


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cwd, two folders deep below one that may hold a config.json."""
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    folder = tmp_path / "project" / "notebooks"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield folder


def config(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"subscription_id": "sub", "resource_group": "group", "workspace_name": name}))
    return path


def name_found(path: str | None = None) -> str:
    workspace = Workspace.from_config(path)
    workspace.registry.close()
    return workspace.name


def test_the_home_of_nobody_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container has it whose user is a number that no account has."""
    monkeypatch.setenv("MODELPORT_HOME", "~no-such-account/modelport")
    with pytest.raises(WorkspaceException, match="no-such-account") as refused:
        Workspace.get("ws")
    assert "Set MODELPORT_HOME" in refused.value.hint


def test_the_nearest_config_file_is_taken_in_the_order_of_v1(desk: Path) -> None:
    config(desk.parent / ".azureml" / "config.json", "above")
    assert name_found() == "above"
    config(desk / "config.json", "plain")
    assert name_found() == "plain"
    config(desk / "aml_config" / "config.json", "older")
    assert name_found() == "older"
    config(desk / ".azureml" / "config.json", "newer")
    assert name_found() == "newer"
    assert name_found("config.json") == "plain", "a file is taken as it is"
    assert name_found(str(desk.parent)) == "above", "a folder is where the search begins"


def test_a_config_file_makes_the_workspace_on_first_use_and_opens_it_then(desk: Path) -> None:
    config(desk / "config.json", "fresh")
    first, again = Workspace.from_config(), Workspace.from_config()
    assert (first.subscription_id, first.resource_group, first.name) == ("sub", "group", "fresh")
    assert first.get_details()["workspaceid"] == again.get_details()["workspaceid"]
    first.write_config(str(desk / "other"))
    assert name_found(str(desk / "other")) == "fresh"
    for workspace in (first, again):
        workspace.registry.close()


def test_the_scope_of_an_attached_folder_names_the_workspace(desk: Path) -> None:
    scope = "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/scoped"
    (desk / "config.json").write_text(json.dumps({"Id": None, "Scope": scope}))
    workspace = Workspace.from_config()
    assert (workspace.subscription_id, workspace.resource_group, workspace.name) == ("S", "G", "scoped")
    workspace.registry.close()


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b'{"subscription_id": "sub"}', UserErrorException, "lacks resource_group, workspace_name"),
        (b"[]", UserErrorException, "lacks subscription_id"),
        (b"{not json", json.JSONDecodeError, "Expecting property name"),
        (b"\xff\xfe\x00", UserErrorException, "not a text in UTF-8"),
        (
            b'{"subscription_id": "s", "resource_group": "g", "workspace_name": "../escape"}',
            WorkspaceException,
            "Invalid workspace name '../escape'",
        ),
    ],
)
def test_a_config_file_that_cannot_be_used(desk: Path, content: bytes, error: type[Exception], said: str) -> None:
    (desk / "config.json").write_bytes(content)
    with pytest.raises(error, match=said):
        Workspace.from_config()
    assert not (desk.parent.parent / "home").exists()


@pytest.mark.parametrize("name", ["", "a", "../up", "a/b", "..", ".hidden", "x" * 65, "two words", None])
def test_a_name_that_no_workspace_can_have(desk: Path, name: str) -> None:
    with pytest.raises(WorkspaceException, match="Invalid workspace name"):
        Workspace.create(name)
    with pytest.raises(WorkspaceException, match="Invalid workspace name"):
        Workspace.get(name)
    assert not (desk.parent.parent / "home").exists()


def test_a_database_that_is_no_url_makes_no_file(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPORT_DATABASE_URL", "nonsense")
    with pytest.raises(WorkspaceException, match=r"^MODELPORT_DATABASE_URL is no URL") as caught:
        Workspace.create("ws")
    assert "postgresql://" in caught.value.hint
    assert list(desk.iterdir()) == []


def test_processes_that_make_the_same_workspace_at_once_share_it(desk: Path) -> None:
    program = (
        "from modelport import Workspace\nprint(Workspace.create('same', exist_ok=True).get_details()['workspaceid'])"
    )
    programs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [each.communicate() for each in programs]
    assert [each.returncode for each in programs] == [0] * 4, said
    assert len({stdout for stdout, _ in said}) == 1


def test_models_refuse_names_that_are_no_text_and_keep_resources(desk: Path) -> None:
    workspace = Workspace.create("ws", show_output=False)
    (desk / "model.txt").write_text("weights")
    with pytest.raises(WebserviceException, match="Invalid model name 5"):
        Model.register(workspace, "model.txt", 5)  # type: ignore[arg-type]
    model = Model.register(workspace, "model.txt", "m", resource_configuration=ResourceConfiguration(1, 0.5))
    assert model.serialize()["resourceConfiguration"] == {"cpu": 1, "memoryInGB": 0.5, "gpu": None}
    workspace.registry.close()


def test_a_workspace_that_a_file_names_is_made_and_said_so(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config(desk / "config.json", "misspelt")
    Workspace.from_config().registry.close()
    assert "There was no workspace 'misspelt' on this machine" in capsys.readouterr().err
    Workspace.from_config().registry.close()
    assert capsys.readouterr().err == ""

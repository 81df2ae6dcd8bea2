"""What v1's workspaces had of a cloud, said to be without effect; and signing in, which nobody asks for."""

from __future__ import annotations

import inspect
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from modelport import Workspace
from modelport.domain.errors import UserErrorException, WorkspaceException
from modelport.sdk.authentication import (
    NO_SIGN_IN,
    AbstractAuthentication,
    ArmTokenAuthentication,
    AzureCliAuthentication,
    AzureMLTokenAuthentication,
    InteractiveLoginAuthentication,
    MsiAuthentication,
    ServicePrincipalAuthentication,
    TokenAuthentication,
)
from modelport.sdk.compute import AmlCompute
from modelport.sdk.diagnostics import diagnostic_log, set_diagnostics_collection


def test_what_a_cloud_had_is_named_as_unused(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    Workspace.create(
        "other", storage_account="/x", hbi_workspace=True, system_datastores_auth_mode="identity", exist_ok=True
    )
    assert capsys.readouterr().out == (
        "Not used on this machine: storage_account, hbi_workspace, system_datastores_auth_mode\n"
    )
    Workspace.create("other", exist_ok=True)
    assert capsys.readouterr().out == ""
    Workspace.get("other").update(friendly_name="Other", image_build_compute="cpu-cluster")
    assert capsys.readouterr().out == "Not used on this machine: image_build_compute\n"
    assert Workspace.get("other").get_details()["friendlyName"] == "Other"


def test_members_of_a_cloud(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert workspace.DEFAULT_CPU_CLUSTER_NAME == "cpu-cluster"
    assert workspace.DEFAULT_GPU_CLUSTER_NAME == "gpu-cluster"
    assert (workspace.private_endpoints, workspace.linked_services, workspace.list_connections()) == ({}, {}, [])
    assert workspace.discovery_url == workspace.folder.as_uri()
    assert set(workspace.list_keys().values()) == {None}
    workspace.sync_keys()
    said = Workspace.get("ws").update_dependencies(container_registry="mine")
    assert said["name"] == "ws"
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Not used on this machine: container_registry"
    with pytest.raises(NotImplementedError, match="scoring_uri"):
        workspace.service_context  # noqa: B018 - it is looked up
    assert not hasattr(workspace, "service_context")
    assert "name" in dict(inspect.getmembers(workspace))


@pytest.mark.parametrize(
    ("member", "arguments"),
    [
        ("add_private_endpoint", (object(),)),
        ("delete_private_endpoint_connection", ("name",)),
        ("set_connection", ("feed", "PythonFeed", "https://example.org", "PAT", "secret")),
        ("get_connection", ("feed",)),
        ("delete_connection", ("feed",)),
    ],
)
def test_members_that_nothing_here_can_do(workspace: Workspace, member: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(WorkspaceException, match="workspace on this machine has no") as raised:
        getattr(workspace, member)(*arguments)
    assert "secret" not in str(raised.value)


def test_diagnosis_is_what_the_doctor_finds(workspace: Workspace) -> None:
    found = workspace.diagnose_workspace({})["value"]
    assert found["storageAccountResults"] == []
    checks = {check["code"]: check for check in found["otherResults"]}
    assert checks["python"]["level"] == "Information"
    assert sys.executable in checks["python"]["message"]
    assert "workspace ws" in checks
    assert workspace.models == {}, "it is open still"


def test_default_compute_targets(workspace: Workspace) -> None:
    assert workspace.get_default_compute_target("CPU") is None
    small = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
    made = Workspace.create("with-target", default_cpu_compute_target=small, show_output=False)
    default = made.get_default_compute_target(type="cpu")
    assert default is not None and default.name == made.DEFAULT_CPU_CLUSTER_NAME
    assert made.get_default_compute_target("GPU") is None
    with pytest.raises(UserErrorException, match="CPU or GPU"):
        made.get_default_compute_target("TPU")


def test_setup_needs_somebody_to_ask(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "empty").open("w+") as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(UserErrorException, match="no terminal"):
            Workspace.setup()


# --- signing in -------------------------------------------------------------------------------------------------------

NOT_ASKED = [
    AbstractAuthentication(),
    InteractiveLoginAuthentication(force=True, tenant_id="t", cloud=None),
    AzureCliAuthentication(cloud=None),
    ServicePrincipalAuthentication("tenant", "id", "secret"),
    MsiAuthentication(),
]
OWN_TOKEN = [
    ArmTokenAuthentication("mine"),
    TokenAuthentication(lambda audience: "mine" if audience.startswith("https://") else ""),
    AzureMLTokenAuthentication("mine", run_id="run"),
]


@pytest.mark.parametrize("auth", [*NOT_ASKED, *OWN_TOKEN], ids=lambda auth: type(auth).__name__)
def test_signing_in_is_kept_and_not_used(
    workspace: Workspace, auth: AbstractAuthentication, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Workspace("sub", "group", "ws", auth=auth).name == "ws"
    assert Workspace.get(name="ws", auth=auth).name == "ws"
    assert capsys.readouterr().out == "Not used on this machine: auth\n" * 2
    token = NO_SIGN_IN if auth in NOT_ASKED else "mine"
    assert auth.get_authentication_header() == {"Authorization": f"Bearer {token}"}
    assert "secret" not in repr(auth)


def test_a_token_may_be_replaced() -> None:
    auth = ArmTokenAuthentication("first")
    auth.update_arm_access_token("second")
    assert auth.get_authentication_header() == {"Authorization": "Bearer second"}


# --- diagnostics ------------------------------------------------------------------------------------------------------


def test_a_log_of_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, logger = tmp_path / "log.txt", logging.getLogger("modelport.tested")
    before = logging.getLogger("modelport").level
    with diagnostic_log(str(log)):
        logger.debug("inside")
    logger.debug("outside")
    assert log.read_text().endswith("DEBUG modelport.tested: inside\n")
    assert logging.getLogger("modelport").level == before
    with diagnostic_log():
        logger.debug("shown")
    assert "shown" in capsys.readouterr().err


def test_nothing_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    set_diagnostics_collection(send_diagnostics=True)
    assert "sends no diagnostics" in capsys.readouterr().out

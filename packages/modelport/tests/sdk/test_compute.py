"""Compute targets: names that are kept, and what is said of them."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

import modelport.sdk.compute as compute
from modelport import Workspace
from modelport.domain.compute import KIND
from modelport.domain.errors import ComputeTargetException
from modelport.sdk.compute import (
    AksCompute,
    AksUpdateConfiguration,
    AmlCompute,
    ComputeInstance,
    ComputeTarget,
    DatabricksCompute,
    DsvmCompute,
    KubernetesCompute,
    RemoteCompute,
    SslConfiguration,
)
from modelport.usecases.compute_targets import find_compute, keep_compute

PROVISIONING = """agent_count vm_size ssl_cname ssl_cert_pem_file ssl_key_pem_file location vnet_resourcegroup_name
    vnet_name subnet_name service_cidr dns_service_ip docker_bridge_cidr cluster_purpose load_balancer_type
    load_balancer_subnet"""


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """One that says what it does."""
    return Workspace.get(workspace.name)


@pytest.fixture
def aks(workspace: Workspace) -> AksCompute:
    """As every notebook made one."""
    try:
        target = ComputeTarget(workspace=workspace, name="my-aks")
    except ComputeTargetException:
        configuration = AksCompute.provisioning_configuration()
        target = ComputeTarget.create(workspace, name="my-aks", provisioning_configuration=configuration)
        target.wait_for_completion(show_output=True)
    assert isinstance(target, AksCompute)
    return target


def test_one_that_is_not_there(workspace: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match=r"ComputeTargetNotFound: .*nowhere") as caught:
        ComputeTarget(workspace, "nowhere")
    assert "ComputeTarget.create" in caught.value.hint
    assert workspace.compute_targets == {}


def test_a_cluster_is_a_name_and_says_so(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], aks: AksCompute
) -> None:
    said = capsys.readouterr().out
    assert "AksCompute 'my-aks': nothing is made" in said
    assert "services that are deployed to it run on this machine" in said
    assert 'Succeeded\nProvisioning operation finished, operation "Succeeded"' in said
    assert (aks.type, aks.provisioning_state, aks.get_status()) == ("AKS", "Succeeded", "Succeeded")
    assert (aks.agent_count, aks.vm_size, aks.cluster_purpose) == (3, "Standard_D3_v2", "FastProd")
    assert aks.load_balancer_type == "PublicIp"
    assert aks.cluster_location == workspace.location
    assert (aks.provisioning_errors, aks.ssl_configuration.status) == (None, "Disabled")
    assert workspace.compute_targets["my-aks"].type == "AKS"
    assert aks.serialize()["properties"]["agent_count"] == 3
    with pytest.raises(ComputeTargetException, match="there is no cluster behind it"):
        aks.get_credentials()


def test_made_again_it_gets_the_new_configuration(workspace: Workspace, aks: AksCompute) -> None:
    purpose = AksCompute.ClusterPurpose.DEV_TEST
    changed = AksCompute.provisioning_configuration(agent_count=2, vm_size="Standard_NC6", cluster_purpose=purpose)
    again = ComputeTarget.create(workspace, "my-aks", changed)
    assert isinstance(again, AksCompute)
    assert (again.agent_count, again.agent_vm_size, again.cluster_purpose) == (2, "Standard_NC6", "DevTest")
    assert aks.agent_count == 3
    aks.refresh_state()
    assert aks.agent_count == 2
    with pytest.raises(ComputeTargetException, match="is of type AKS, not AmlCompute"):
        ComputeTarget.create(workspace, "my-aks", AmlCompute.provisioning_configuration("STANDARD_D2_V2"))
    with pytest.raises(ComputeTargetException, match="is of type AKS, not AmlCompute"):
        AmlCompute(workspace, "my-aks")


def test_a_script_that_makes_its_cluster_gets_the_one_that_is_attached(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_compute(workspace.context, "theirs", "AKS", {"context": "production", "registry": "r"}, is_attached=True)
    made = ComputeTarget.create(workspace, "theirs", AksCompute.provisioning_configuration(agent_count=7))
    assert isinstance(made, AksCompute) and made.is_attached
    assert find_compute(workspace.context, "theirs").settings == {"context": "production", "registry": "r"}
    assert "attached to the cluster of the context 'production'" in capsys.readouterr().out
    with pytest.raises(ComputeTargetException, match="is of type AKS, not AmlCompute"):
        ComputeTarget.create(workspace, "theirs", AmlCompute.provisioning_configuration("STANDARD_D2_V2"))


def test_a_cluster_is_attached_without_being_asked(workspace: Workspace) -> None:
    attached = ComputeTarget.attach(
        workspace, "theirs", AksCompute.attach_configuration(resource_group="group", cluster_name="cluster")
    )
    assert isinstance(attached, AksCompute)
    assert attached.is_attached
    older = AksCompute.attach(workspace, "older", "/subscriptions/1/cluster")
    assert older.cluster_resource_id == "/subscriptions/1/cluster"
    with pytest.raises(ComputeTargetException, match="resource_group needs cluster_name"):
        AksCompute.attach_configuration(resource_group="group")
    attached.detach()
    assert (attached.provisioning_state, list(workspace.compute_targets)) == ("Detaching", ["older"])


@pytest.mark.parametrize("name", ["a", "ab", "1st", "under_score", "ends-", "x" * 25])
def test_names_that_no_cluster_has(workspace: Workspace, name: str) -> None:
    with pytest.raises(ComputeTargetException, match="3 to 24 characters"):
        ComputeTarget.create(workspace, name, AksCompute.provisioning_configuration())
    assert workspace.compute_targets == {}


def test_the_parameters_of_a_cluster_are_those_of_v1() -> None:
    found = inspect.signature(AksCompute.provisioning_configuration).parameters
    assert list(found) == PROVISIONING.split()
    assert {each.default for each in found.values()} == {None}
    configuration = AksCompute.provisioning_configuration(agent_count=5)
    assert (configuration.agent_count, configuration.vm_size) == (5, None)
    with pytest.raises(AttributeError, match="nothing"):
        configuration.nothing  # noqa: B018 - it is looked up


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ssl_cname": "a"}, "must be given together, or leaf_domain_label alone"),
        ({}, "must be given together"),
        ({"leaf_domain_label": "a", "ssl_cname": "b"}, "leaf_domain_label cannot be given together with"),
    ],
)
def test_half_a_certificate_is_refused(given: dict[str, Any], said: str) -> None:
    for configuration in (AksCompute.provisioning_configuration(), AksCompute.attach_configuration()):
        with pytest.raises(ComputeTargetException, match=said):
            configuration.enable_ssl(**given)
    with pytest.raises(ComputeTargetException, match="must be given together"):
        AksCompute.provisioning_configuration(ssl_cname="a")


def test_a_certificate_is_kept_readable_by_its_owner_only(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("certificate", "key"):
        (tmp_path / f"{name}.pem").write_text(f"the {name}")
    configuration = AksCompute.provisioning_configuration()
    files: dict[str, Any] = {
        "ssl_cert_pem_file": str(tmp_path / "certificate.pem"),
        "ssl_key_pem_file": str(tmp_path / "key.pem"),
    }
    configuration.enable_ssl(ssl_cname="a.example", **files)
    target = ComputeTarget.create(workspace, "secure", configuration)
    assert isinstance(target, AksCompute)
    assert target.ssl_configuration == SslConfiguration(status="Enabled", cname="a.example")
    kept = {path.name: path for path in (workspace.folder / "compute" / "secure").iterdir()}
    assert {name: path.read_text() for name, path in kept.items()} == {
        "certificate.pem": "the certificate",
        "key.pem": "the key",
    }
    assert {path.stat().st_mode & 0o777 for path in kept.values()} == {0o600}
    asset = workspace.registry.asset(KIND, "secure")
    assert asset is not None
    assert "the key" not in str(asset.body)
    target.delete()
    assert not kept["key.pem"].parent.exists()
    with pytest.raises(ComputeTargetException, match=r"ssl_cert_pem_file '.*gone.pem' cannot be read"):
        configuration.enable_ssl(ssl_cname="a", ssl_cert_pem_file=str(tmp_path / "gone.pem"), ssl_key_pem_file="x")
        ComputeTarget.create(workspace, "secure", configuration)


def test_nobody_issues_a_vendors_certificate(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = AksCompute.provisioning_configuration()
    configuration.enable_ssl(leaf_domain_label="contoso")
    target = ComputeTarget.create(workspace, "secure", configuration)
    assert isinstance(target, AksCompute)
    assert "nobody issues a certificate for it here" in capsys.readouterr().out
    assert (target.ssl_configuration.status, target.ssl_configuration.leaf_domain_label) == ("Auto", "contoso")
    assert target.to_deployment().ssl_enabled is False
    target.update(AksUpdateConfiguration(SslConfiguration(leaf_domain_label="contoso", renew=True)))
    assert "no certificate of a vendor" in capsys.readouterr().out
    target.update(AksUpdateConfiguration(load_balancer_type="InternalLoadBalancer", load_balancer_subnet="mine"))
    assert (target.load_balancer_type, target.load_balancer_subnet) == ("InternalLoadBalancer", "mine")
    with pytest.raises(ComputeTargetException, match="TLS needs a certificate, its key and the host name"):
        target.update(AksUpdateConfiguration(SslConfiguration(status="Enabled", cname="a")))
    target.update(AksUpdateConfiguration(SslConfiguration(status="Disabled")))
    assert target.ssl_configuration.status == "Disabled"


def test_a_training_cluster(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = AmlCompute.provisioning_configuration(
        vm_size="STANDARD_D2_V2", max_nodes=4, admin_user_password="hidden", tags={"a": "b"}, description="d"
    )
    assert (configuration.min_nodes, configuration.max_nodes) == (0, 4)
    cluster = ComputeTarget.create(workspace, "cpu-cluster", configuration)
    assert type(cluster) is AmlCompute
    cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
    assert "runs that are sent to it run on this machine" in capsys.readouterr().out
    assert (cluster.vm_size, cluster.tags, cluster.description) == ("STANDARD_D2_V2", {"a": "b"}, "d")
    status = cluster.get_status().serialize()
    assert (status["allocationState"], status["currentNodeCount"], status["errors"]) == ("Steady", 0, None)
    assert status["scaleSettings"] == {
        "minNodeCount": 0,
        "maxNodeCount": 4,
        "nodeIdleTimeBeforeScaleDown": "PT1800S",
    }
    cluster.update(max_nodes=2, idle_seconds_before_scaledown=60)
    assert cluster.scale_settings.maximum_node_count == 2
    assert cluster.list_nodes() == []
    assert AmlCompute.supported_vmsizes(workspace)[0]["vCPUs"]
    asset = workspace.registry.asset(KIND, "cpu-cluster")
    assert asset is not None
    assert "hidden" not in str(asset.body)
    assert cluster.serialize()["vmSize"] == "STANDARD_D2_V2"
    cluster.delete()
    cluster.wait_for_completion(show_output=True, is_delete_operation=True)
    assert "Deleting operation finished" in capsys.readouterr().out


def test_a_workstation(workspace: Workspace) -> None:
    instance = ComputeTarget.create(workspace, "mine", ComputeInstance.provisioning_configuration("STANDARD_D3_V2"))
    assert isinstance(instance, ComputeInstance)
    assert instance.state == "Running"
    instance.stop(wait_for_completion=True, show_output=True)
    assert ComputeInstance(workspace, "mine").state == "Stopped"
    instance.start()
    instance.restart()
    assert instance.state == "Running"


def test_the_others_are_names_too(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    configurations = [
        KubernetesCompute.attach_configuration(resource_id="/cluster", namespace="n"),
        RemoteCompute.attach_configuration(username="me", address="10.0.0.1", password="hidden"),
        DatabricksCompute.attach_configuration(resource_group="g", workspace_name="w", access_token="hidden"),
    ]
    for number, configuration in enumerate(configurations):
        target = ComputeTarget.attach(workspace, f"target-{number}", configuration)
        assert type(ComputeTarget(workspace, f"target-{number}")) is type(target)
        asset = workspace.registry.asset(KIND, f"target-{number}")
        assert asset is not None
        assert "hidden" not in str(asset.body)
    assert capsys.readouterr().out.count("it is not contacted") == 3
    assert [target.type for target in ComputeTarget.list(workspace)] == ["Kubernetes", "VirtualMachine", "Databricks"]
    dsvm = ComputeTarget.create(workspace, "dsvm", RemoteCompute.attach_configuration(username="me"))
    assert isinstance(DsvmCompute(workspace, dsvm.name), RemoteCompute)


def test_every_name_of_v1_is_here() -> None:
    """Reference, 2: azureml.core.compute."""
    names = """ComputeTarget AksCompute AmlCompute ComputeInstance KubernetesCompute RemoteCompute DsvmCompute
        HDInsightCompute DatabricksCompute DataFactoryCompute AdlaCompute BatchCompute KustoCompute SynapseCompute"""
    assert set(names.split()) <= set(compute.__all__)
    assert all(hasattr(compute, name) for name in compute.__all__)


def test_a_configuration_of_another_kind_is_refused(workspace: Workspace) -> None:
    wrong: Any = object()
    with pytest.raises(ComputeTargetException, match="of type object"):
        ComputeTarget.create(workspace, "name", wrong)
    with pytest.raises(NotImplementedError, match="of a class of targets"):
        ComputeTarget.provisioning_configuration()
    assert dataclasses.asdict(AksUpdateConfiguration())["ssl_configuration"] is None

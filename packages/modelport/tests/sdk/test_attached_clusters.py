"""Clusters that a context of the kubeconfig leads to; that one answers is tested in clusters/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport import Workspace
from modelport.domain.deployments import Deployment, Placement, RunsOn
from modelport.domain.errors import ComputeTargetException
from modelport.domain.services import ServiceState
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.sdk.service_snapshot import ServiceSnapshot
from modelport.targets.interface import Observation

from ..storage import samples
from ..targets.kubernetes.api_server import serving


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """One that says what it does."""
    return Workspace.get(workspace.name)


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a context ``prod`` of a cluster that nobody listens for."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(
    "given",
    [
        {"context": "prod"},
        {"resource_group": "group", "cluster_name": "prod"},
        {"resource_id": "/subscriptions/1/resourceGroups/g/providers/x/managedClusters/prod"},
    ],
)
def test_a_cluster_that_does_not_answer(workspace: Workspace, given: dict[str, Any]) -> None:
    with pytest.raises(ComputeTargetException, match=r"'prod' does not answer at https://127\.0\.0\.1:1") as caught:
        ComputeTarget.attach(workspace, "my-aks", AksCompute.attach_configuration(**given))
    assert "kubectl --context prod" in caught.value.hint
    assert workspace.compute_targets == {}


@pytest.mark.usefixtures("kubeconfig")
def test_a_context_that_is_not_there(workspace: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match="no context named 'test'") as caught:
        ComputeTarget.attach(workspace, "my-aks", AksCompute.attach_configuration(context="test"))
    assert caught.value.hint == "There are: prod."


@pytest.mark.usefixtures("kubeconfig")
def test_a_way_in_that_there_is_not(workspace: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match=r"Invalid expose 'tunnel'.*NodePort"):
        ComputeTarget.attach(workspace, "my-aks", AksCompute.attach_configuration(context="prod", expose="tunnel"))


@pytest.mark.usefixtures("kubeconfig")
def test_the_name_of_a_cluster_without_a_context_is_a_name(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """As scripts of v1 have it, on a machine that knows other clusters."""
    configuration = AksCompute.attach_configuration(resource_group="group", cluster_name="theirs")
    attached = ComputeTarget.attach(workspace, "my-aks", configuration)
    assert isinstance(attached, AksCompute)
    assert attached.context is None
    said = capsys.readouterr().out
    assert "nothing is attached; the name is kept" in said
    assert "AksCompute.attach_configuration(context=…)" in said


@pytest.mark.usefixtures("kubeconfig")
def test_a_service_of_a_cluster_that_does_not_answer_has_no_address_of_this_machine(workspace: Workspace) -> None:
    placement = Placement(runs_on=RunsOn.KUBERNETES, context="prod")
    row = samples.service("line", compute_type="AKS", port=30616, deployment=Deployment(placement=placement))
    shown = ServiceSnapshot()
    shown.workspace, shown.name = workspace, "line"
    shown._take(row, Observation(state=ServiceState.UNKNOWN))
    assert (shown.port, shown.scoring_uri, shown.swagger_uri) == (None, None, None)
    shown._take(row, Observation(state=ServiceState.RUNNING, host="node", port=30616))
    assert shown.scoring_uri == "http://node:30616/api/v1/service/line/score"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A context ``here`` of a cluster with cert-manager."""
    with serving(tmp_path) as (_, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("cname", [None, "other.example.org"])
def test_an_issuer_and_a_name_are_enough_for_certificates(workspace: Workspace, cname: str | None) -> None:
    configuration = AksCompute.attach_configuration(
        context="here", expose="Ingress", host="models.example.org", cert_issuer="letsencrypt"
    )
    if cname is not None:
        configuration.enable_ssl(ssl_cname=cname)
    attached = ComputeTarget.attach(workspace, "my-aks", configuration)
    assert isinstance(attached, AksCompute)
    deployment = attached.to_deployment()
    assert (deployment.ssl_enabled, deployment.ssl_cname) == (True, cname or "models.example.org")
    assert (deployment.ssl_cert_pem_file, deployment.ssl_key_pem_file) == (None, None)
    assert attached.ssl_configuration.status == "Enabled"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"expose": "NodePort", "host": "10.0.0.1"},
        {"expose": "Gateway", "gateway": "front", "host": "models.example.org"},
        {"kserve": True, "host": "models.example.org"},
    ],
    ids=["without a name", "an address", "a gateway has its own", "so has Knative"],
)
def test_an_issuer_that_has_no_effect_is_told(
    workspace: Workspace, given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = AksCompute.attach_configuration(context="here", cert_issuer="letsencrypt", **given)
    attached = ComputeTarget.attach(workspace, "my-aks", configuration)
    assert isinstance(attached, AksCompute)
    assert not attached.to_deployment().ssl_enabled
    assert "cert_issuer has no effect" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_name_alone_needs_an_issuer() -> None:
    configuration = AksCompute.attach_configuration(context="here")
    with pytest.raises(ComputeTargetException, match="must be given together"):
        configuration.enable_ssl(ssl_cname="models.example.org")

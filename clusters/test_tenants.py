"""Several workspaces on one cluster, and users who may do little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.bench import Bench, ask
from clusters.node import NOBODY
from modelport import Workspace
from modelport.domain.errors import WebserviceException
from modelport.sdk.compute import ComputeTarget

ROLE = Path(__file__).parent.parent / "docs" / "kubernetes-role.yaml"
"""What the documents say that a user needs in a namespace."""


def test_a_user_of_one_namespace(bench: Bench) -> None:
    """With the Role of docs/kubernetes.md in its own, and no right anywhere else."""
    for team in ("team-a", "team-b"):
        _have_namespace(bench, team)
    _allow(bench, "team-a")
    own = bench.attach("own", context=NOBODY, namespace="team-a")
    service = bench.deploy("line", bench.inference("one"), target=own)
    assert ask(service) == "one"
    service.update(num_replicas=2)
    service.regen_key("Primary")
    assert "init of one" in service.get_logs()
    service.delete()
    theirs = bench.attach("theirs", context=NOBODY, namespace="team-b")
    with pytest.raises(WebserviceException, match=r"'nobody' may not .* in the namespace 'team-b'") as caught:
        bench.deploy("line", bench.inference("one"), target=theirs)
    assert "docs/kubernetes.md has the Role" in caught.value.hint


def test_workspaces_of_one_name_do_not_meet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people, each with a workspace called "tests" on one cluster, in a namespace each, and in one for both."""
    mine = bench.deploy("line", bench.inference("mine"))
    home = bench.folder / "their-home"
    home.mkdir()
    (home / "images").symlink_to(bench.folder / "home" / "images")
    monkeypatch.setenv("MODELPORT_HOME", str(home))
    other = Bench(bench.node, Workspace.create("tests", show_output=False), bench.folder)
    try:
        other.attach()
        theirs = other.deploy("line", other.inference("theirs"))
        assert (ask(mine), ask(theirs)) == ("mine", "theirs")
        assert bench.namespace != other.namespace
        _have_namespace(bench, "both")
        for each in (bench, other):
            each.attach("shared", namespace="both")
        shared = [
            each.deploy("meter", each.inference(str(number)), target=ComputeTarget(each.workspace, "shared"))
            for number, each in enumerate((bench, other))
        ]
        assert [ask(service) for service in shared] == ["0", "1"]
        shared[0].delete()
        theirs.delete()
        assert (ask(shared[1]), ask(mine)) == ("1", "mine")
        shared[1].delete()
    finally:
        other.workspace.registry.close()


def test_a_namespace_stays_for_what_others_keep_in_it(bench: Bench) -> None:
    """Such as the Secret that pulls images, which its owners were told to put there."""
    service = bench.deploy("line", bench.inference("one"))
    namespace = bench.namespace
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    bench.node.api(secrets, "POST", body={"metadata": {"name": "theirs"}})
    service.delete()
    assert bench.left() == [f"namespaces {namespace}"]
    assert bench.node.api(f"{secrets}/theirs").is_success


def test_pods_have_no_right_in_the_cluster(bench: Bench) -> None:
    """No token is in them; and who had one of their account could read nothing, not even of their own namespace."""
    service = bench.deploy("line", bench.inference("one", run="return os.path.exists('/var/run/secrets')"))
    assert ask(service) is False
    own, other = bench.namespace, "team-c"
    _have_namespace(bench, other)
    token = _token(bench, own, "line")
    for namespace in (own, other):
        for what in ("secrets", "pods", "configmaps", "services"):
            assert _status(bench, token, f"/api/v1/namespaces/{namespace}/{what}") == 403
    assert _status(bench, token, f"/api/v1/namespaces/{own}/secrets/line-r1") == 403
    assert _status(bench, token, "/api/v1/namespaces") == 403


def _token(bench: Bench, namespace: str, account: str) -> str:
    """Of the pods' account, as an administrator can have one made."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = bench.node.api(path, "POST", body=body)
    assert answer.is_success, answer.text
    return str(answer.json()["status"]["token"])


def _status(bench: Bench, token: str, path: str) -> int:
    return bench.node.api(path, token=token).status_code


def _have_namespace(bench: Bench, name: str) -> None:
    bench.node.api("/api/v1/namespaces", "POST", body={"metadata": {"name": name}})


def _allow(bench: Bench, namespace: str) -> None:
    role: dict[str, Any] = yaml.safe_load(ROLE.read_text(encoding="utf-8"))
    api = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    assert bench.node.api(f"{api}/roles", "POST", body=role).is_success
    binding = {
        "metadata": {"name": "modelport"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": NOBODY}],
    }
    assert bench.node.api(f"{api}/rolebindings", "POST", body=binding).is_success

"""``modelport k8s render``."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport import Workspace
from modelport.sdk.compute import AksCompute, ComputeTarget

from .conftest import Call

IMAGE = "registry.example/line@sha256:" + "1" * 64
KEYS = "keys: {primaryKey: first-key, secondaryKey: second-key}\n"


@pytest.fixture
def render(shop: Call) -> Call:
    """Render the service ``line`` of ``dc.yml``."""
    Path("dc.yml").write_text(f"computeType: aks\nnumReplicas: 2\n{KEYS}")

    def render(line: str = "", *, code: int = 0) -> Any:
        return shop(f"k8s render -n line --dc dc.yml --image {IMAGE} {line}", code=code)

    return render


def by_kind(text: str) -> dict[str, Any]:
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


def test_manifests_of_a_configuration(render: Call) -> None:
    said = render()
    found = by_kind(said.stdout)
    assert found["Deployment"]["spec"]["replicas"] == 2
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert "first-key" not in said.stdout
    assert "Secrets are among the manifests: line-r1" in said.stderr
    assert render().stdout == said.stdout


def test_as_json(render: Call) -> None:
    assert {manifest["kind"] for manifest in render("-o json").json} >= {"Namespace", "Deployment", "Secret"}


def test_secrets(render: Call) -> None:
    rest = render("--secrets leave-out")
    assert "Secret" not in by_kind(rest.stdout)
    assert "Left out: line-r1" in rest.stderr
    assert set(by_kind(render("--secrets only").stdout)) == {"Secret"}
    named = render("--settings-secret sealed")
    assert "Secret" not in by_kind(named.stdout)
    volumes = by_kind(named.stdout)["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["secret"]["secretName"] == "sealed"


def test_a_folder_for_kustomize(render: Call) -> None:
    assert "--output-path" in render("--format kustomize", code=1).stderr
    render("--format kustomize --output-path out")
    listed = yaml.safe_load(Path("out/kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(file.name for file in Path("out").iterdir() if file.name != "kustomization.yaml")
    assert yaml.safe_load(Path("out/deployment-line.yaml").read_text())["kind"] == "Deployment"


def test_the_stock_image(render: Call) -> None:
    digest = "a" * 64
    said = render(f"--bundle-url https://store.example/b.tar --bundle-digest {digest} --python /usr/bin/python3")
    secret = by_kind(said.stdout)["Secret"]
    assert json.loads(base64.b64decode(secret["data"]["fetch.json"]))["bundle"]["digest"] == digest
    told = json.loads(base64.b64decode(secret["data"]["service.json"]))
    assert told["revision"]["interpreter"] == ["/usr/bin/python3"]
    assert "store.example" not in said.stdout
    assert "64 hexadecimal digits" in render("--bundle-url https://store.example/b.tar", code=1).stderr


def test_tls_and_how_it_is_reached(render: Call) -> None:
    said = render("--expose Ingress --ingress-host models.example.org --ingress-class nginx --cert-issuer letsencrypt")
    ingress = by_kind(said.stdout)["Ingress"]
    assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "letsencrypt"
    assert ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/api/v1/service/line"
    assert "belong together" in render("--certificate a.pem", code=1).stderr
    assert "cannot be read" in render("--certificate a.pem --certificate-key b.pem", code=1).stderr


def test_settings_of_an_attached_cluster_hold_unless_others_are_given(render: Call, shop: Call, tmp_path: Path) -> None:
    workspace = Workspace.get("shop")
    configuration = AksCompute.attach_configuration(expose="Ingress", host="models.example.org", ingress_class="nginx")
    ComputeTarget.attach(workspace, "my-aks", configuration)
    found = by_kind(render("--ct my-aks").stdout)
    assert found["Ingress"]["spec"]["rules"][0]["host"] == "models.example.org"
    assert by_kind(render("--ct my-aks --expose NodePort").stdout)["Service"]["spec"]["type"] == "NodePort"
    assert "Ingress" not in by_kind(render("--ct other").stdout)


def test_versions_of_kubernetes(render: Call) -> None:
    assert by_kind(render("--kubernetes-version 1.20").stdout)["PodDisruptionBudget"]["apiVersion"] == "policy/v1beta1"
    for wrong in ("1.19", "newest"):
        assert "must be 1.20 or newer" in render(f"--kubernetes-version {wrong}", code=1).stderr


def test_an_endpoint(shop: Call) -> None:
    Path("dc.yml").write_text(f"computeType: aksendpoint\nversionName: blue\n{KEYS}")
    line = "k8s render -n line --dc dc.yml"
    assert "HTTPRoute" in by_kind(shop(f"{line} --image blue={IMAGE} --expose Gateway --gateway infra/public").stdout)
    names = [
        manifest["metadata"]["name"]
        for manifest in yaml.safe_load_all(shop(f"{line} --image {IMAGE}").stdout)
        if manifest["kind"] == "Deployment"
    ]
    assert names[-1] == "line"
    assert names[0].startswith("line-blue-")
    assert "an image for green" in shop(f"{line} --image blue={IMAGE} --image green={IMAGE}", code=1).stderr


def test_what_is_missing_is_said(shop: Call) -> None:
    Path("dc.yml").write_text("computeType: aks\n")
    line = f"k8s render -n line --image {IMAGE}"
    assert "primaryKey" in shop(f"{line} --dc dc.yml", code=1).stderr
    assert "--dc" in shop(line, code=1).stderr
    Path("dc.yml").write_text("computeType: aks\nkeys: {primaryKey: one}\n")
    assert "Both keys" in shop(f"{line} --dc dc.yml", code=1).stderr
    Path("dc.yml").write_text("computeType: local\n")
    assert "no cluster runs" in shop(f"{line} --dc dc.yml", code=1).stderr
    shop("deploy score.py --name line")
    assert "no cluster runs" in shop(line, code=1).stderr
    shop("service delete -n line")

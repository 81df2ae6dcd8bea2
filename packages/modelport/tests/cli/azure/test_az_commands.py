"""Commands on a real workspace, in process; stories/test_az_ml.py has those that need services."""

from __future__ import annotations

import json
from pathlib import Path

from ..conftest import Call


def test_a_folder_is_attached(az: Call) -> None:
    az("workspace create -w shop -g group --subscription-id sub -l westeurope --exist-ok -y")
    Path("project").mkdir()
    said = az("folder attach -w shop -g group -e first --path project").json
    assert said["experimentName"] == "first"
    config = json.loads(Path("project/.azureml/config.json").read_text())
    names = ("subscription_id", "resource_group", "workspace_name")
    assert [config[name] for name in names] == ["sub", "group", "shop"]
    assert config["Scope"].startswith("/subscriptions/sub/resourceGroups/group/")
    assert config["Scope"].endswith("/workspaces/shop/experiments/first")
    assert az("workspace show --path project --query name -o tsv").stdout == "shop\n"
    conda = Path("project/.azureml/conda_dependencies.yml")
    assert "python=3.6.2" in conda.read_text()
    conda.write_text("mine")
    az("folder attach -w shop --path project")
    assert conda.read_text() == "mine", "what is there stays"


def test_a_workspace_is_made_changed_and_deleted(az: Call) -> None:
    said = az("workspace create -w shop --keyvault vault --hbi-workspace --sku basic -f 'The shop'")
    assert "Not used on this machine: key_vault, hbi_workspace" in said.stderr
    changed = az("workspace update -w shop -f 'Another' -d text --tags a=b --enable-data-actions")
    assert (changed.json["friendlyName"], changed.json["tags"]) == ("Another", {"a": "b"})
    assert "--enable-data-actions" in changed.stderr
    assert "Nothing to update" in az("workspace update -w shop", code=1).stderr
    assert "no keys" in az("workspace sync-keys -w shop").stderr
    assert az("workspace private-endpoint list -w shop").json == []
    assert az("workspace list --query '[].name' -o tsv").stdout == "shop\n"
    az("workspace delete -w shop --all-resources --no-wait")
    assert az("workspace list").json == []


def test_an_environment_starts_as_v1_s_did(shop: Call) -> None:
    shop("environment scaffold -n mine -d env -t made.json")
    assert sorted(path.name for path in Path("env").iterdir()) == [
        "BaseDockerfile",
        "azureml_environment.json",
        "conda_dependencies.yml",
    ]
    assert "python=3.6.2" in Path("env/conda_dependencies.yml").read_text()
    registered = shop("environment register -d env -t registered.json").json
    assert (registered["name"], registered["version"]) == ("mine", "1")
    assert registered["docker"]["baseDockerfile"] is None, "a Dockerfile of comments asks for nothing"
    assert json.loads(Path("registered.json").read_text())["version"] == "1"
    Path("env/BaseDockerfile").write_text("# a comment\nFROM debian\n")
    assert shop("environment register -d env --query docker.baseDockerfile").json == "# a comment\nFROM debian\n"
    assert shop("environment show -n mine -v 1 --query version -o tsv").stdout == "1\n"
    shop("environment download -n mine -d copy -v 2")
    assert Path("copy/BaseDockerfile").read_text().endswith("FROM debian\n")
    assert shop("environment list --query '[].[name, version]' -o tsv").stdout == "mine\t2\n"


def test_models_are_registered_shown_and_deleted(shop: Call) -> None:
    made = shop("model register -n factor -p factor.json --cc 1 --gb 2 --tag a=b --property c=d -t model.json").json
    assert made["resourceConfiguration"] == {"cpu": 1.0, "memoryInGB": 2.0, "gpu": None}
    assert json.loads(Path("model.json").read_text()) == {
        "modelId": "factor:1",
        "workspaceName": "shop",
        "resourceGroupName": "group",
    }
    assert shop("model show -n factor --version 1 --query id -o tsv").stdout == "factor:1\n"
    assert shop("model update -i factor:1 --add-tag e=f --remove-tag a --query tags").json == {"e": "f"}
    assert shop("model list -o table").stdout.splitlines()[1].startswith("------")
    shop("model download -i factor:1 -t out")
    assert Path("out/factor.json").read_text() == "2"
    assert shop("model delete -i factor:1").stdout == ""
    assert shop("model list").json == []


def test_compute_targets_are_names(shop: Call) -> None:
    made = shop("computetarget create aks -n cluster --cluster-purpose DevTest --vnet-name net --subnet-name sub")
    assert "nothing is made" in made.stderr
    assert (made.json["type"], made.json["agentCount"], made.json["clusterPurpose"]) == ("AKS", 3, "DevTest")
    shop("computetarget update aks -n cluster --load-balancer-type InternalLoadBalancer --ssl-renew")
    assert shop("computetarget show -n cluster --query loadBalancerType").json == "InternalLoadBalancer"
    shop("computetarget attach aks -n attached -i /subscriptions/s/x --ssl-leaf-domain-label contoso")
    assert "there is no cluster behind it" in shop("computetarget get-credentials -n cluster", code=1).stderr
    made = shop("computetarget create amlcompute -n cpu -s STANDARD_D2_V2 --assign-identity [system]")
    assert (made.json["scaleSettings"]["maximum_node_count"], made.json["vmSize"]) == (4, "STANDARD_D2_V2")
    assert made.json["properties"]["idle_seconds_before_scaledown"] == 120
    shop("computetarget update amlcompute -n cpu --min-nodes 1")
    identity = "computetarget amlcompute identity"
    assert shop(f"{identity} show -n cpu").json == {"type": "SystemAssigned", "userAssignedIdentities": []}
    assert shop(f"{identity} assign -n cpu --identities /one").json["userAssignedIdentities"] == ["/one"]
    assert shop(f"{identity} remove -n cpu").json["type"] is None
    shop("computetarget attach remote -n vm -a here -u me --password secret")
    assert "secret" not in shop("computetarget show -n vm").stdout
    shop("computetarget create computeinstance -n desk -s small")
    assert shop("computetarget computeinstance stop -n desk --query properties.state").json == "Stopped"
    assert shop("computetarget computeinstance restart -n desk --query properties.state").json == "Running"
    shop("computetarget create datafactory -n factory")
    names = ["attached", "cluster", "cpu", "desk", "factory", "vm"]
    assert shop("computetarget list --query '[].name'").json == names
    shop("computetarget detach -n attached")
    shop("computetarget delete -n factory")
    assert shop("computetarget list --query 'length(@)'").json == len(names) - 2

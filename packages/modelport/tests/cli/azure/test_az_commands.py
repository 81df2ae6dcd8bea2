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
    assert Path("project/.azureml/local.runconfig").is_file()
    conda = Path("project/.azureml/conda_dependencies.yml")
    assert "python=3.6.2" in conda.read_text()
    conda.write_text("mine")
    az("folder attach -w shop --path project")
    assert conda.read_text() == "mine", "what is there stays"
    assert az("folder attach -w shop --path project").json["experimentName"] == "project"
    Path("no name").mkdir()
    assert az("folder attach -w shop --path 'no name'").json["experimentName"] is None


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


TRAINING = """
import argparse
import json
import os
from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
alpha = parser.parse_args().alpha
Run.get_context().log("alpha", alpha)
os.makedirs("outputs", exist_ok=True)
with open("outputs/factor.json", "w") as file:
    json.dump(alpha, file)
print("trained with", 1 / alpha)
"""


def test_a_script_is_submitted_and_its_model_registered(shop: Call) -> None:
    Path("train.py").write_text(TRAINING)
    Path("no name").mkdir()
    shop("folder attach -w shop --path 'no name'")
    assert "--experiment-name" in shop("run submit-script --path 'no name' train.py", code=1).stderr
    shop("folder attach -w shop -e training")
    said = shop("run submit-script -c local -t run.json -o none train.py --alpha 4")
    assert "trained with 0.25" in said.stderr
    assert said.stdout == ""
    run = json.loads(Path("run.json").read_text())
    assert run["experimentName"] == "training"
    registered = shop("model register -n factor --asset-path outputs/factor.json -f run.json").json
    assert (registered["runId"], registered["experimentName"]) == (run["runId"], "training")
    assert shop(f"model list --run-id {run['runId']} --query [].id -o tsv").stdout == "factor:1\n"
    failed = shop("run submit-script -e other train.py --alpha 0", code=1)
    assert "ActivityFailedException" in failed.stderr
    assert "ZeroDivisionError" in failed.stderr
    assert shop("run list --status Failed --query '[].experimentName'").json == ["other"]
    assert shop("run list --last 1 --query 'length(@)'").json == 1
    assert shop("experiment list --query '[].name'").json == ["other", "training"]
    found = shop(f"run update -r {run['runId']} -e training --add-tag a=b").json
    assert (found["status"], found["tags"]) == ("Completed", {"a": "b"})
    assert "trained with" in shop(f"run monitor-logs -r {run['runId']}").stdout
    copied = shop(f"run download-logs -r {run['runId']} -d logs").json
    assert any("trained with" in Path(file).read_text() for file in copied)
    assert "training" in shop(f"run show -r {run['runId']} -e other", code=1).stderr


def test_all_that_follows_the_script_is_the_script_s(shop: Call) -> None:
    Path("words.py").write_text("import sys\n\nprint(*sys.argv[1:])\n")
    said = shop(
        "run submit-script --exp training -ct somewhere -o none words.py -d 5 -ct b -c c --path data --over -- e"
    )
    assert "-d 5 -ct b -c c --path data --over -- e" in said.stderr
    assert shop("run list --query '[].target'").json == ["somewhere"]


def test_a_run_configuration_names_the_script(shop: Call) -> None:
    Path("words.py").write_text("import sys\n\nprint(*sys.argv[1:])\n")
    Path("config").mkdir()
    Path("config/train.runconfig").write_text("script: words.py\narguments: [--epochs, 3]\ntarget: cluster\n")
    for named in ("config/train", "config/train.runconfig"):
        said = shop(f"run submit-script -c {named} -e training --query target")
        assert "--epochs 3" in said.stderr
        assert said.json == "cluster"
    assert "--epochs" not in shop("run submit-script -c config/train -e training words.py 4").stderr
    assert "Nothing says which script" in shop("run submit-script -e training", code=1).stderr


def test_datastores_are_folders(shop: Call) -> None:
    default = shop("datastore show-default").json
    assert (default["name"], default["isDefault"]) == ("workspaceblobstore", True)
    said = shop("datastore attach-blob -n mine -a account -c container -k secret")
    assert "Azure is not contacted" in said.stderr
    assert "Uploaded 1 files" in shop("datastore upload -n mine -p factor.json -u data").stderr
    assert shop("datastore download -n mine -d out").json == 1
    assert Path("out/data/factor.json").read_text() == "2"
    shop("datastore set-default -n mine")
    assert "Set another one first" in shop("datastore detach -n mine", code=1).stderr
    shop("datastore set-default -n workspaceblobstore")
    shop("datastore detach -n mine")
    assert "mine" not in shop("datastore list --query '[].name'").json


def test_data_sets_are_listed_and_unregistered(shop: Call) -> None:
    from modelport import Workspace
    from modelport.sdk.data import Dataset

    workspace = Workspace.get("shop")
    Dataset.File.from_files(["factor.json"]).register(workspace, "factors", tags={"a": "b"})
    rows = shop("dataset list").json
    assert [(row["name"], row["version"], row["datasetType"], row["tags"]) for row in rows] == [
        ("factors", 1, "File", {"a": "b"})
    ]
    assert shop(f"dataset show -i {rows[0]['id']} --query name").json == "factors"
    assert "either --name" in shop("dataset show", code=1).stderr
    shop("dataset unregister -n factors")
    assert shop("dataset list").json == []

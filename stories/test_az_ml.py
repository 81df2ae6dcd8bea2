"""A walk-through in the style of 2020's documents, typed as ``az-ml`` and, in a shell of its own, as ``az ml``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from .conftest import SCORE, Desk, Said

INFERENCE = """
    {
        "entryScript": "score.py",
        "sourceDirectory": "source",
        "environment": {
            "name": "myenv",
            "environmentVariables": {"GREETING": "hello"},
            "python": {"userManagedDependencies": true, "interpreterPath": "%s"},
            "docker": {"enabled": true, "baseImage": "mcr.microsoft.com/azureml/base:intelmpi2018.3-ubuntu16.04"}
        }
    }
"""

DEPLOYMENT = """
    computeType: ACI
    containerResourceRequirements:
      cpu: 0.5
      memoryInGB: 1.0
    authEnabled: True
    sslEnabled: False
    appInsightsEnabled: False
    furtherKey: 1
"""


@pytest.fixture
def project(desk: Desk) -> Desk:
    """A folder with the files of the walk-through, attached to a workspace."""
    desk.write("source/score.py", SCORE)
    desk.write("models/factor.json", "2")
    desk.write("inferenceconfig.json", INFERENCE % sys.executable)
    desk.write("deploymentconfig.yml", "\ufeff" + DEPLOYMENT.lstrip("\n"))
    desk.write("data.json", '{"data": [1, 2, 3]}')
    desk.run("az-ml workspace create -w myworkspace -g mygroup -l eastus2 --yes")
    desk.run("az-ml folder attach -w myworkspace -g mygroup -e myexperiment")
    return desk


@pytest.mark.timeout(400)  # each of its many commands starts a Python
def test_from_a_model_to_a_service_and_back(project: Desk) -> None:
    project.run("az-ml model register -n mymodel -p models/factor.json --tag area=numbers -t model.json")
    registered = json.loads((project.folder / "model.json").read_text())
    assert registered["modelId"] == "mymodel:1"
    said = project.run(
        "az-ml model deploy -n myservice -m mymodel:1 --ic inferenceconfig.json --dc deploymentconfig.yml "
        "--tag stage=test -o json"
    )
    shown = said.json
    assert [shown[key] for key in ("name", "state", "computeType", "authEnabled", "tags")] == [
        "myservice",
        "Healthy",
        "ACI",
        True,
        {"stage": "test"},
    ]
    assert shown["containerResourceRequirements"]["memoryInGB"] == 1.0
    assert 'ACI service creation operation finished, operation "Succeeded"' in said.stderr
    assert "runs on this machine" in said.stderr
    assert "'furtherKey', which is not known" in said.stderr
    _use(project)
    _change(project)
    _delete(project)


def _use(project: Desk) -> None:
    assert project.run("az-ml service run -n myservice -d @data.json").json == [2, 4, 6]
    assert project.run("az-ml service run -n myservice -d '{\"data\": [4]}' -o tsv").stdout == "8\n"
    keys = project.run("az-ml service get-keys -n myservice").json
    uri = project.run("az-ml service show -n myservice --query scoringUri -o tsv").stdout.strip()
    assert _posted(uri, keys["primaryKey"]) == "[42]"
    new = project.run("az-ml service regen-key -n myservice --key Primary --set-key my-own-key").json
    assert new == {"primaryKey": "my-own-key", "secondaryKey": keys["secondaryKey"]}
    assert _posted(uri, "my-own-key") == "[42]"
    log = project.run("az-ml service get-logs -n myservice --num_lines 100 -o tsv").stdout
    assert "the factor is 2" in log.splitlines()
    assert project.run("az-ml service get-logs -n myservice -l 1").stdout.startswith('"'), "JSON, as az has it"
    assert "runs on this machine" in project.run("az-ml service get-logs -n myservice --init").stdout
    found = project.run("az-ml service list --model-name mymodel -c aci --tag stage -o table").stdout
    assert found.splitlines()[2].split()[:3] == ["myservice", "Healthy", "ACI"]


def _posted(uri: str, key: str) -> str:
    command = ["curl", "--silent", "--noproxy", "*", "-H", f"Authorization: Bearer {key}", "-d", '{"data": [21]}', uri]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _change(project: Desk) -> None:
    project.write("models/factor.json", "5")
    project.run("az-ml model register -n mymodel -p models/factor.json -t second.json")
    project.run("az-ml service update -n myservice -f second.json --add-tag by=hand --remove-tag stage")
    assert project.run("az-ml service run -n myservice -d @data.json").json == [5, 10, 15]
    shown = project.run("az-ml service show -n myservice").json
    assert ([model["id"] for model in shown["modelDetails"]], shown["tags"]) == (["mymodel:2"], {"by": "hand"})
    project.run("az-ml service update -n myservice --ae false")
    assert project.run("az-ml service show -n myservice --query authEnabled").json is False
    refused = project.run("az-ml model deploy -n myservice -m mymodel:1 -ic inferenceconfig.json", code=1)
    assert "ServiceExists" in refused.stderr
    assert project.run("az-ml model delete -i mymodel:2", code=1).stderr.startswith("ERROR: {'Azure-cli-ml Version'")


def _delete(project: Desk) -> None:
    project.run("az-ml service delete -n myservice")
    assert project.run("az-ml service list").json == []
    project.run("az-ml model delete -i mymodel:2")


@pytest.mark.timeout(400)  # each of its many commands starts a Python
def test_an_endpoint_with_two_versions(project: Desk) -> None:
    project.run("az-ml model register -n mymodel -p models/factor.json -t first.json")
    project.run("az-ml computetarget create aks -n mycluster --cluster-purpose DevTest")
    project.write("endpoint.json", '{"computeType": "aksEndpoint", "versionName": "blue", "trafficPercentile": 100}')
    project.run(
        "az-ml model deploy -n myendpoint -f first.json -ic inferenceconfig.json -dc endpoint.json -ct mycluster"
    )
    project.write("models/factor.json", "3")
    project.run("az-ml model register -n mymodel -p models/factor.json -t second.json")
    realtime = "az-ml endpoint realtime"
    project.run(f"{realtime} update-version -n myendpoint --vn blue --tp 0 --add-tag a=b")
    said = project.run(
        f"{realtime} create-version -n myendpoint --vn green -f second.json --ic inferenceconfig.json --tp 100 "
        "--num-replicas 1 --timeout-seconds 3 --is-default"
    )
    versions = said.json["versions"]
    assert {name: (v["trafficPercentile"], v["isDefault"]) for name, v in versions.items()} == {
        "blue": (0.0, False),
        "green": (100.0, True),
    }
    assert (versions["blue"]["tags"], versions["green"]["numReplicas"]) == ({"a": "b"}, 1)
    assert project.run(f"{realtime} run -n myendpoint -d @data.json").json == [3, 6, 9]
    models = project.run("az-ml service update -n myendpoint -m mymodel:1", code=1)
    assert "endpoint realtime update-version" in models.stderr
    project.run(f"{realtime} delete-version -n myendpoint --vn blue")
    project.run(f"{realtime} update -n myendpoint --ae false --description 'one only'")
    shown = project.run(f"{realtime} show -n myendpoint").json
    assert (list(shown["versions"]), shown["description"], shown["authEnabled"]) == (["green"], "one only", False)
    project.run(f"{realtime} delete -n myendpoint")


def test_a_failure_names_the_line_and_leaves_the_log(project: Desk) -> None:
    project.write(
        "source/score.py", "def init():\n    raise ValueError('no luck')\n\n\ndef run(data):\n    return data\n"
    )
    said = project.run("az-ml model deploy -n unlucky --ic inferenceconfig.json", code=1)
    assert "ERROR: {'Azure-cli-ml Version': " in said.stderr
    assert "ValueError: no luck" in said.stderr
    assert 'score.py", line 2, in init' in said.stderr
    assert project.run("az-ml service show -n unlucky --query state").json == "Failed"


@pytest.mark.timeout(400)  # each of its many commands starts a Python
def test_az_ml_in_a_shell(project: Desk) -> None:
    """``eval "$(modelport az)"``, and what walk-throughs type after it."""
    script = """
        set -eu
        eval "$(modelport az)"
        az ml model register -n mymodel -p models/factor.json -t model.json --output none
        az ml model deploy -n myservice -f model.json -ic inferenceconfig.json -dc deploymentconfig.yml --no-wait \\
            --query name -o tsv
        until [ "$(az ml service show -n myservice --query state -o tsv)" = Healthy ]; do sleep 0.2; done
        az ml service run -n myservice -d @data.json --query '[2]'
        az ml service delete -n myservice
        az version || echo "no az: $?"
    """
    said = _shell("bash", project.write("walk.sh", script), project)
    assert said.stdout.split() == ["myservice", "6", "no", "az:", "127"], said
    assert said.code == 0


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", 'shopt -s expand_aliases\nalias az=echo\neval "$(modelport az)"'),
        ("zsh", 'alias az=echo\neval "$(modelport az)"'),
        ("fish", "modelport az --shell fish | source"),
    ],
)
def test_each_shell_takes_its_lines(desk: Desk, shell: str, line: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    said = _shell(shell, desk.write("walk", f"{line}\naz ml --version\naz ml model list -w 'no such'\n"), desk)
    assert said.stdout.startswith("az-ml ")
    assert "no such" in said.stderr
    assert said.code == 1


def _shell(shell: str, file: object, project: Desk) -> Said:
    environ = {**project.environ_with_command, "SHELL": f"/bin/{shell}"}
    ended = subprocess.run([shell, str(file)], cwd=project.folder, env=environ, capture_output=True, text=True)
    return Said(ended.stdout, ended.stderr, ended.returncode)

"""The words of ``az ml``: every command and option of the azureml-v1 reference, 3, and how arguments are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelport.cli.azure.extension_table import table
from modelport.cli.azure.reference import commands, page
from modelport.cli.azure.words import PROGRAM
from modelport.cli.reference import below
from modelport.cli.refused import REFUSED

from ..conftest import Call
from ..test_grammar import GRAMMAR as OF_BOTH
from ..test_grammar import INFERENCE, TARGET

COMMANDS: dict[str, Any] = {
    path.removeprefix(f"{PROGRAM} "): command for root, found in commands() for path, command in below(root, found)
}

CERTIFICATE = (
    "--ssl-cname --ssl-cert-file --ssl-key-file --ssl-leaf-domain-label --ssl-overwrite-domain --load-balancer-type "
    "--load-balancer-subnet"
)
VNET = "--vnet-name --vnet-resourcegroup-name --subnet-name"
VERSION = (
    "--name -n --version-name --vn --traffic-percentile --tp --is-default --is-control-version-type --cvt --model -m "
    "-f --ic --dc --entry-script --es --source-directory --sd --conda-file --cf --environment-name -e "
    "--environment-version --ev --environment-directory --ed --cpu-cores --cc --cpu-cores-limit --ccl --memory-gb "
    "--gb --memory-gb-limit --gbl --gpu-cores --gc --autoscale-enabled --as --autoscale-min-replicas --mi "
    "--autoscale-max-replicas --ma --autoscale-refresh-seconds --ar --autoscale-target-utilization --at "
    "--period-seconds --ps --initial-delay-seconds --id --timeout-seconds --ts --success-threshold --st "
    "--failure-threshold --ft --collect-model-data --md --scoring-timeout-ms --tm --max-request-wait-time --mr "
    "--replica-max-concurrent-requests --rm --num-replicas --nr --description -d --add-tag --add-property --no-wait"
)

GRAMMAR = OF_BOTH | {
    "workspace delete": "-w --all-resources --no-wait",
    "workspace update": "--friendly-name -f --description -d --tags --image-build-compute --enable-data-actions "
    "--disable-data-actions",
    "workspace share": "--user --role",
    "workspace sync-keys": "-w",
    "workspace private-endpoint add": "-w",
    "workspace private-endpoint delete": "-w",
    "workspace private-endpoint list": "-w",
    "environment list": "-w",
    "endpoint realtime create-version": VERSION,
    "endpoint realtime update-version": VERSION,
    "endpoint realtime delete-version": "--name -n --version-name --vn --no-wait",
    "endpoint realtime update": "--name -n --auth-enabled --ae --token-auth-enabled --enable-app-insights --ai "
    "--description -d --add-tag --remove-tag --add-property --no-wait",
    "endpoint realtime list": "--compute-type -c --model-id --model-name --tag --property",
    "endpoint realtime show": "--name -n",
    "endpoint realtime delete": "--name -n",
    "endpoint realtime get-keys": "--name -n",
    "endpoint realtime get-access-token": "--name -n",
    "endpoint realtime get-logs": "--name -n --num_lines -l --init -i",
    "endpoint realtime regen-key": "--name -n --key -k --set-key -s",
    "endpoint realtime run": "--name -n --input-data -d",
    "computetarget create aks": f"--name -n --agent-count -a --vm-size -s --cluster-purpose --location -l "
    f"{CERTIFICATE} {VNET} --service-cidr --dns-service-ip --docker-bridge-cidr --no-wait",
    "computetarget attach aks": "--name -n --compute-resource-id -i",
    "computetarget attach remote": "--name -n --address -a --username -u --ssh-port --password -p --private-key-file "
    "--private-key-passphrase",
    "computetarget create amlcompute": "--name -n --vm-size -s --max-nodes --min-nodes "
    "--idle-seconds-before-scaledown --vm-priority -p --admin-username --admin-user-password --admin-user-ssh-key "
    f"--assign-identity --remote-login-port-public-access {VNET} --tag --description --no-wait",
    "computetarget create computeinstance": "--name -n --vm-size -s --ssh-public-access --admin-user-ssh-public-key "
    f"{VNET} --tag --description --no-wait",
    "computetarget create datafactory": "--name -n --location -l --no-wait",
    "computetarget update aks": f"--name -n --ssl-renew --ssl-disable {CERTIFICATE}",
    "computetarget update amlcompute": "--name -n --min-nodes --max-nodes --idle-seconds-before-scaledown",
    "computetarget computeinstance start": "--name -n",
    "computetarget computeinstance stop": "--name -n",
    "computetarget computeinstance restart": "--name -n",
    "computetarget amlcompute identity assign": "--name -n",
    "computetarget amlcompute identity remove": "--name -n",
    "computetarget amlcompute identity show": "--name -n",
    "model package": "--model -m -f --ic -e --ev --ed --es --cf --rt --sd --output-path --image-name --in "
    "--image-label --il --no-wait",
    "run submit-script": "--experiment-name -e --run-configuration-name -c --source-directory --target --ct "
    "--conda-dependencies -d --async -t",
    "run list": "--experiment-name -e --last --status --compute-target-name --parent-run-id --pipeline-run-id",
    "run show": "--run -r --experiment-name -e",
    "run cancel": "--run -r --experiment-name -e",
    "run update": "--run -r --experiment-name -e --add-tag",
    "run monitor-logs": "--run -r --experiment-name -e",
    "run download-logs": "--run -r --experiment-name -e",
    "experiment list": "-w",
    "datastore attach-blob": "--name -n --account-name -a --container-name -c --account-key -k --sas-token",
    "datastore attach-file": "--name -n --account-name -a --account-key -k --sas-token",
    "datastore upload": "--name -n --src-path -p --target-path -u --overwrite",
    "datastore download": "--name -n",
    "datastore list": "-w",
    "datastore show": "--name -n",
    "datastore show-default": "-w",
    "datastore set-default": "--name -n",
    "datastore detach": "--name -n",
    "dataset list": "-w",
    "dataset show": "--name -n --id -i",
    "dataset unregister": "--name -n --id -i",
    "computetarget list": "-w",
    "computetarget show": "--name -n",
    "computetarget delete": "--name -n",
    "computetarget detach": "--name -n",
    "computetarget get-credentials": "--name -n",
}


def options(path: str) -> list[str]:
    return [option for parameter in COMMANDS[path].params for option in parameter.opts]


@pytest.mark.parametrize("path", GRAMMAR)
def test_every_option_of_v1_is_taken_or_refused_with_a_reason(path: str) -> None:
    expected = GRAMMAR[path].split()
    if path in ("model deploy", "service update"):
        expected += [*INFERENCE.split(), *TARGET.split()]
    assert [option for option in expected if option not in options(path) and option not in REFUSED] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_the_shared_options_help_and_no_option_twice(path: str) -> None:
    shared = "-o --output --query --debug --verbose --only-show-errors -w --workspace-name -g --resource-group --path"
    assert set(shared.split()) <= set(options(path))
    assert sorted(options(path)) == sorted(set(options(path)))
    assert COMMANDS[path].help
    assert [parameter.name for parameter in COMMANDS[path].params if not parameter.help] == []


def test_options_may_be_shortened_and_switches_may_have_a_value(shop: Call) -> None:
    shop("model register --name factor --model-p factor.json --tag a=b")
    assert shop("model list --model-name=factor --latest true --query [].id -o tsv").stdout == "factor:1\n"
    assert shop("model list --latest=false --tag a=b --query 'length(@)'").json == 1
    assert shop("workspace show --resource group --subscription none", code=1).stderr, "--subscription-id is checked"
    assert "unrecognized arguments: --sample" in shop("model update -i a:1 --sample x", code=2).stderr, (
        "several begin like this"
    )
    said = shop("workspace update --tags a=b c=d --description x --query tags")
    assert said.json == {"a": "b", "c": "d"}


def test_a_truth_needs_no_value(shop: Call) -> None:
    shop("computetarget create computeinstance -n one --vm-size small --ssh-public-access")
    shop("computetarget create computeinstance -n two -s small --ssh-public-access False --no-wait")
    said = shop("computetarget list --query '[].properties.ssh_public_access'")
    assert said.json == [True, False]


def test_what_is_called_wrongly_is_said_as_az_does(shop: Call) -> None:
    assert "ERROR: the following arguments are required: --name/-n" in shop("model register", code=2).stderr
    assert "ERROR: unrecognized arguments: --nope" in shop("model list --nope 1", code=2).stderr
    assert "Help: az-ml model list --help" in shop("model list --nope 1", code=2).stderr
    assert "deplay" in shop("model deplay", code=2).stderr
    assert "Usage: az-ml endpoint realtime" in shop("endpoint realtime", code=2).stderr
    assert "-n, --name" in shop("service show -h").stdout
    absent = shop("pipeline create -n x -y pipeline.yml", code=2).stderr
    assert "Which requests?" in shop("model profile -n x", code=1).stderr
    assert "az ml pipeline create is not possible here: Modelport does not run pipelines yet." in absent


def test_the_reference_page_and_the_extension_s_table_are_what_the_program_says() -> None:
    root = next(parent for parent in Path(__file__).parents if (parent / "docs").is_dir())
    assert (root / "docs/az-ml.md").read_text() == page(), (
        "run: python -m modelport.cli.azure.reference > docs/az-ml.md"
    )
    kept = root / "packages/modelport-azure-cli/src/azext_modelport/commands.json"
    assert json.loads(kept.read_text()) == table(), (
        f"run: python -m modelport.cli.azure.extension_table > {kept.relative_to(root)}"
    )

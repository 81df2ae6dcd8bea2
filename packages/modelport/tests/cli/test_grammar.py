"""Flags: both spellings, those of v1, and what is said of those that need another target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperGroup

from modelport.cli.grammar import with_two_dashes
from modelport.cli.lazy import load, names
from modelport.cli.refused import REFUSED

from .conftest import Call


def commands() -> Iterator[tuple[str, Any]]:
    for name in names():
        yield from below(name, load(name))


def below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, member in command.commands.items():
            yield from below(f"{path} {name}", member)
    else:
        yield path, command


COMMANDS = dict(commands())

GRAMMAR = {
    "workspace create": "--workspace-name -w --location -l --friendly-name -f --sku --exist-ok --yes -y "
    "--application-insights --container-registry --keyvault --storage-account --hbi-workspace -g",
    "workspace list": "--resource-group -g",
    "workspace show": "-w -g --subscription-id --path",
    "workspace delete": "--all-resources",
    "folder attach": "-w -g --experiment-name -e --path",
    "model register": "--name -n --model-path -p --asset-path --experiment-name --run-id -r --run-metadata-file -f "
    "--description -d --tag --property --model-framework --model-framework-version --cpu-cores --cc --memory-gb --gb "
    "--gpu-cores --gc --sample-input-dataset-id --sample-output-dataset-id --output-metadata-file -t",
    "model deploy": "--name -n --model -m --model-metadata-file -f --inference-config-file --ic "
    "--deploy-config-file --dc --compute-target --ct --compute-type --cp --overwrite --no-wait --profile-input --pi "
    "--description --tag --property",
    "model profile": "--name -n --model -m -f --ic --input-data -d --input-dataset-id --idi --description "
    "--output-metadata-file -t",
    "model download": "--model-id -i --target-dir -t --overwrite",
    "model list": "--model-name -n --latest -l --run-id --dataset-id --tag --property",
    "model show": "--model-id -i --model-name -n --version --run-id",
    "model update": "--model-id -i --add-tag --remove-tag --add-property --description --cc --gb --gc "
    "--sample-input-dataset-id --sample-output-dataset-id",
    "model delete": "--model-id -i",
    "service list": "--compute-type -c --model-name --model-id --image-digest --tag --property",
    "service show": "--name -n",
    "service run": "--name -n --input-data -d",
    "service update": "--name -n --model -m -f --ic --dc --description -d --add-tag --remove-tag "
    "--add-property --no-wait",
    "service get-logs": "--name -n --num_lines -l --init -i",
    "service get-keys": "--name -n",
    "service get-access-token": "--name -n",
    "service regen-key": "--name -n --key -k --set-key -s",
    "service delete": "--name -n",
    "environment scaffold": "--name -n --directory -d --output-metadata-file -t",
    "environment register": "--directory -d -t",
    "environment show": "--name -n --version -v",
    "environment download": "--name -n --directory -d --version -v --overwrite",
}
"""The options of the azureml-v1 reference, 3.1, 3.2 and 3.4."""

INFERENCE = (
    "--entry-script --es --source-directory --sd --runtime --rt --conda-file --cf --extra-docker-file-steps --ds "
    "--enable-gpu --eg --cuda-version --cv --base-image --bi --base-image-registry --ir --environment-name -e "
    "--environment-version --ev --environment-directory --ed"
)
"""3.5"""

TARGET = (
    "--port --po --cpu-cores --cc --memory-gb --gb --gpu-cores --gc --auth-enabled --ae --token-auth-enabled "
    "--primary-key --kp --secondary-key --ks --enable-app-insights --ai --collect-model-data --md --ssl-enabled --se "
    "--ssl-cert-pem-file --sp --ssl-key-pem-file --sk --ssl-cname --sc --dns-name-label --dn --location --lo "
    "--autoscale-enabled --as --autoscale-min-replicas --mi --autoscale-max-replicas --ma --autoscale-refresh-seconds "
    "--ar --autoscale-target-utilization --at --num-replicas --nr --replica-max-concurrent-requests --rm "
    "--max-request-wait-time --mr --scoring-timeout-ms --tm --period-seconds --ps --initial-delay-seconds --id "
    "--timeout-seconds --ts --success-threshold --st --failure-threshold --ft --namespace --traffic-percentile --tp "
    "--is-default --is-control-version-type --cvt"
)
"""3.6"""


def options(path: str) -> set[str]:
    return {option for parameter in COMMANDS[path].params for option in parameter.opts}


@pytest.mark.parametrize("path", GRAMMAR)
def test_every_option_of_v1_is_taken_or_refused_with_a_reason(path: str) -> None:
    expected = GRAMMAR[path].split()
    if path in ("model deploy", "service update"):
        expected += [*INFERENCE.split(), *TARGET.split()]
    assert [option for option in expected if option not in options(path) and option not in REFUSED] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_the_shared_options_and_no_option_twice(path: str) -> None:
    shared = "-o --output --query --debug --verbose --only-show-errors -w --workspace-name -g --resource-group --path"
    assert set(shared.split()) <= options(path)
    every = [option for parameter in COMMANDS[path].params for option in parameter.opts]
    assert sorted(every) == sorted(set(every))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_and_command_has_a_help_text(path: str) -> None:
    assert COMMANDS[path].help
    assert [parameter.name for parameter in COMMANDS[path].params if not parameter.help] == []


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["-ic", "a.json"], ["--ic", "a.json"]),
        (["-ic=a.json"], ["--ic=a.json"]),
        (["--ic", "a.json"], ["--ic", "a.json"]),
        (["-n", "name", "-xy"], ["-n", "name", "-xy"]),
        (["-nname"], ["-nname"]),
    ],
)
def test_one_dash_counts_as_two(given: list[str], read: list[str]) -> None:
    assert list(with_two_dashes(given, {"--ic", "-n"})) == read


def test_an_option_of_another_target_says_so(call: Call) -> None:
    said = call("model deploy -n x --is-default", code=2)
    assert "belongs to a version of an endpoint" in said.stderr

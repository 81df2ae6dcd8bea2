"""Errors as scripts of v1 look for them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ..conftest import Call


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("model show -n gone", "WebserviceException", "has no model named 'gone'"),
        ("service show -n gone", "WebserviceException", "WebserviceNotFound"),
        ("computetarget show -n gone", "ComputeTargetException", "ComputeTargetNotFound"),
        ("environment show -n gone", "AzureMLException", "no environment named 'gone'"),
        ("workspace show -w gone", "WorkspaceException", "no workspace named 'gone'"),
        ("workspace show -g other", "UserErrorException", "'group', not 'other'"),
        ("workspace share --user a --role b", "WorkspaceException", "no accounts and no roles"),
        ("workspace private-endpoint add -n x", "WorkspaceException", "no private endpoints"),
        ("model deploy -n ok-name --ic gone.json", "UserErrorException", "'gone.json' of --inference-config-file"),
        ("model deploy -n ok-name --ic bad.json", "UserErrorException", "must be valid JSON or YAML"),
        ("model deploy -n ok-name --es score.py --dc bad.json", "UserErrorException", "must be valid JSON or YAML"),
        ("model deploy -n ok-name --es score.py --cp aks", "UserErrorException", "computetarget create aks"),
        ("model deploy -n ok-name --es score.py --ct gone", "ComputeTargetException", "gone"),
        ("model deploy -n ok-name --es score.py --nr 2", "UserErrorException", "--num-replicas cannot be given"),
        ("model deploy -n ok-name --es score.py -f bad.json", "UserErrorException", "--model-metadata-file"),
        ("computetarget attach remote -n vm -a here -u me", "ComputeTargetException", "--password"),
        ("model list --query 'a['", "UserErrorException", "is not valid JMESPath"),
    ],
)
def test_an_error_has_v1_s_form(shop: Call, line: str, kind: str, message: str) -> None:
    Path("bad.json").write_text('{"a": 1,')
    said = shop(line, code=1)
    assert said.stdout == ""
    assert re.search(
        rf"^ERROR: {{'Azure-cli-ml Version': '[\d.]+', 'Error': \w*{kind}:\n\tMessage: ", said.stderr, re.M
    )
    assert message in said.stderr
    assert said.stderr.rstrip().endswith("}}")
    answer = said.stderr[said.stderr.index("ErrorResponse") + len("ErrorResponse") :].strip().removesuffix("}")
    assert message in json.loads(answer)["error"]["message"]


def test_without_a_workspace_it_says_where_it_looked(az: Call) -> None:
    said = az("model list", code=1)
    assert f"nor is there a .azureml/config.json in {Path.cwd()}" in said.stderr
    assert "az ml folder attach" in said.stderr
    az("workspace create -w default")
    az("model list", code=1)  # of modelport's default workspace az knows nothing


def test_debug_prints_the_traceback(shop: Call) -> None:
    assert shop("model show -n gone --debug", code=1).stderr.count("Traceback (most recent call last)") == 1


def test_a_folder_that_is_gone_is_named_as_the_cause(az: Call, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert "started in has been removed" in az("model list", code=1).stderr

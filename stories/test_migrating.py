"""A project of 2019, moved with the commands of docs/migrating.md, and run as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Desk

PAGE = Path(__file__).parents[1] / "docs/migrating.md"

PROJECT = {
    "aml_config/config.json": """
        {
            "subscription_id": "00000000-0000-0000-0000-000000000000",
            "resource_group": "customers",
            "workspace_name": "churn"
        }
    """,
    "deploy.py": """
        import json

        from azureml.core import Workspace
        from azureml.core.environment import Environment
        from azureml.core.model import InferenceConfig, Model
        from azureml.core.webservice import LocalWebservice, Webservice
        from azureml.exceptions import WebserviceException

        ws = Workspace.from_config()
        print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep='\\n')

        model = Model(ws, 'churn')
        print('serving', model.name, 'version', model.version)

        myenv = Environment.from_conda_specification(name='churn-env', file_path='source/conda_dependencies.yml')
        myenv.docker.enabled = True
        inference_config = InferenceConfig(entry_script='score.py', source_directory='source', environment=myenv)

        try:
            Webservice(ws, 'churn-local').delete()
        except WebserviceException:
            print('first deployment')

        service = Model.deploy(workspace=ws, name='churn-local', models=[model], inference_config=inference_config,
                               deployment_config=LocalWebservice.deploy_configuration())
        service.wait_for_deployment(show_output=True)
        print(service.state)
        print('prediction', service.run(input_data=json.dumps({'data': [[12, 0], [1, 5]]})))
    """,
    "source/score.py": """
        import json
        import math

        from azureml.core.model import Model


        def init():
            global weights
            with open(Model.get_model_path('churn')) as file:
                weights = json.load(file)


        def run(raw_data):
            try:
                rows = json.loads(raw_data)['data']
                return [1 / (1 + math.exp(-sum(w * x for w, x in zip(weights, row)))) > 0.5 for row in rows]
            except Exception as e:
                return str(e)
    """,
    "source/conda_dependencies.yml": """
        name: project_environment
        dependencies:
          - python=3.6.2
          - pip:
            - azureml-defaults
        channels:
          - conda-forge
    """,
    "release.sh": """
        #!/bin/sh
        az ml model list -w churn -g customers -o table
        az ml service show -n churn-local -w churn
    """,
    "requirements.txt": """
        azureml-sdk==1.0.85
    """,
    "downloaded/azureml-models/churn/3/weights.json": "[-0.1, 0.1]",
    "downloaded/azureml-models/churn/7/weights.json": "[-0.3, 0.8]",
    "downloaded/environments/churn-env/azureml_environment.json": """
        {"name": "churn-env", "version": "4", "python": {"userManagedDependencies": false}, "docker": {}}
    """,
    "downloaded/environments/churn-env/conda_dependencies.yml": """
        dependencies:
        - python=3.6.2
        - pip:
          - azureml-defaults
    """,
}


def _commands() -> list[str]:
    """The commands of the page, in order."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line.split("  #")[0].strip() for line in block.splitlines()]


@pytest.fixture
def churn(desk: Desk) -> Desk:
    for name, text in PROJECT.items():
        desk.write(name, text)
    return desk


def test_three_commands_move_a_project(churn: Desk) -> None:
    look, create, take = _commands()

    report = churn.run(look).stdout
    assert "not covered" not in report
    assert "not yet" not in report
    differs, _, same = report.partition("\nRuns as is: ")
    assert re.search(r"^  Workspace\.from_config\n(    .*\n)*      deploy\.py: line 9$", same, re.MULTILINE)
    assert re.search(r"^  DockerSection\.enabled\n(    .*\n)*      .*: line 16$", differs, re.MULTILINE)
    assert "az ml model list" in report
    found = churn.run(f"{look} -o json").json["findings"]
    assert [row["note"] for row in found if row["file"] == "requirements.txt"] == [
        "install modelport-azureml[client] instead: it has the same modules"
    ]

    churn.run(create)
    assert churn.run(take).stdout.splitlines() == [
        "model churn:3",
        "model churn:7",
        "environment churn-env:1 (was version 4: environments are numbered anew)",
    ]

    ended = subprocess.run(
        [sys.executable, "deploy.py"], cwd=churn.folder, env=churn.environ, capture_output=True, text=True, timeout=100
    )
    if "this machine has no such Python" in ended.stderr:
        pytest.skip(ended.stderr.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert "serving churn version 7\nfirst deployment\n" in ended.stdout
    assert "prediction [False, True]\n" in ended.stdout
    shown = churn.run("modelport service run -n churn-local -d '" + json.dumps({"data": [[1, 5]]}) + "'")
    assert shown.json == [True]

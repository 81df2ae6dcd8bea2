"""Notebooks, configurations, command lines and lists of packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.cli.az_commands import known_options
from modelport.domain.errors import UserErrorException
from modelport.usecases.compatibility import Status
from modelport.usecases.migration import Report, examine

from .conftest import Project, lines


def test_cells_are_one_program_with_magics(project: Project) -> None:
    project.notebook(
        "deploy.ipynb",
        "#md A text",
        "%matplotlib inline\nfrom azureml.core import *\nws = Workspace.from_config()\nws?\n"
        "!pip install azureml-sdk[notebooks]\n",
        "%%time\n# again\nmodel = ws.models['churn']\n",
        "%%writefile source/score.py\nfrom azureml.core.model import Model\n"
        "def init(): Model.get_model_path('m')\ndef run(d): pass\n",
        "%%writefile myenv.yml\ndependencies:\n- python=3.6.2\n- pip:\n  - azureml-defaults\n",
        "files = !az ml model list -w w\n%%bash is not first\n",
        "%%bash\naz ml service delete \\\n  -n s\n",
        "%%javascript\nvar x = {;\n",
        "print 'azureml of Python 2'\n",
        "model.delete()\n",
    )
    report = project.report()
    assert lines(report) == [
        "deploy.ipynb: cell 2: 3 Workspace.from_config same",
        "deploy.ipynb: cell 2: 5 azureml-sdk[notebooks] differs",
        "deploy.ipynb: cell 3: 3 Workspace.models same",
        "deploy.ipynb: cell 4: 3 Model.get_model_path same",
        "deploy.ipynb: cell 4: 4 init() and run() same",
        "deploy.ipynb: cell 5: 5 azureml-defaults same",
        f"deploy.ipynb: cell 6: 1 az ml model list {_status('model list', report)}",
        "deploy.ipynb: cell 7: 2 az ml service delete same",
        "deploy.ipynb: cell 10: 1 Model.delete same",
    ]
    assert [place for place, _ in report.unread] == ["deploy.ipynb: cell 9: 1"]


def _status(command: str, report: Report) -> Status:
    return next(found.status for found in report.findings if found.subject == f"az ml {command}")


def test_a_notebook_of_format_3_and_one_that_is_none(project: Project) -> None:
    project.write("old.ipynb", '{"worksheets": [{"cells": [{"cell_type": "code", "input": "ws.write_config()"}]}]}')
    project.write("none.ipynb", "[]")
    project.write("half.ipynb", '{"cells": ')
    report = project.report()
    assert lines(report) == ["old.ipynb: cell 1: 1 Workspace.write_config same"]
    assert [file for file, _ in report.unread] == ["half.ipynb", "none.ipynb"]


def test_inference_configurations_of_both_forms(project: Project) -> None:
    project.write(
        "a.json",
        """
        {
        \t"entryScript": "score.py", "runtime": "python",
        \t"condaFile": null,
          "extraDockerfileSteps": "steps",
          "made_up": 1
        }
        """,
    )
    project.write(
        "b.yml",
        """
        entryScript: score.py
        sourceDirectory:
        environment:
          name: e
          docker: {enabled: true, baseImage: img}
          python:
            condaDependencies:
              dependencies:
              - python=2.7
              - pip: [azureml-train-automl]
        """,
    )
    assert lines(project.report()) == [
        "a.json:2 entryScript same",
        "a.json:2 runtime same",
        "a.json:4 extraDockerfileSteps differs",
        "a.json:5 made_up differs",
        "b.yml:1 entryScript same",
        "b.yml:3 environment same",
        "b.yml:4 name same",
        "b.yml:5 docker.enabled differs",
        "b.yml:5 docker.baseImage differs",
        "b.yml:7 python.condaDependencies same",
        "b.yml:9 python=2.7 absent",
        "b.yml:10 azureml-train-automl differs",
    ]


def test_other_configurations(project: Project) -> None:
    project.write(
        ".azureml/config.json", '{"Id": null, "subscription_id": "s", "resource_group": "g", "workspace_name": "w"}'
    )
    project.write(
        "dc.json", '{"computeType": "ACI", "containerResourceRequirements": {"cpu": 1}, "keys": {"primaryKey": "x"}}'
    )
    project.write(
        "env/azureml_environment.json",
        '{"name": "e", "python": {"interpreterPath": "python"}, "docker": {"shmSize": "2g"}, '
        '"inferencingStackVersion": null}',
    )
    project.write("pipe.yml", "pipeline:\n  name: p\n  steps:\n    a: {}\n")
    project.write("unrelated.json", '{"name": "x", "dependencies": {"left-pad": "1"}}')
    project.write("unrelated.yml", "services:\n  web:\n    image: x\n")
    project.write("broken.json", '{"entryScript": ')
    report = project.report()
    assert lines(report) == [
        ".azureml/config.json:1 subscription_id differs",
        ".azureml/config.json:1 resource_group differs",
        ".azureml/config.json:1 workspace_name same",
        "dc.json:1 computeType same",
        "dc.json:1 containerResourceRequirements.cpu differs",
        "dc.json:1 keys.primaryKey same",
        "env/azureml_environment.json:1 name same",
        "env/azureml_environment.json:1 python.interpreterPath same",
        "env/azureml_environment.json:1 docker.shmSize differs",
        "pipe.yml:1 pipeline absent",
    ]
    assert [file for file, _ in report.unread] == ["broken.json"]


def test_command_lines(project: Project) -> None:
    project.write(
        "release.sh",
        """
        #!/bin/bash
        # az ml model list
        az login --service-principal
        az extension add -n azure-cli-ml
        az ml model show -i churn:1 \\
           -o tsv > out.txt
        id=$(az ml model list -w w --query "[0].id" -o tsv)
        az ml model deploy -n s -m churn:1 -ic i.json --dc=d.json --cv 10.0 && az ml service show --name s
        az ml workspace share --user u --role r
        az ml service update -n s --no-such-option 1
        az ml online-deployment create -f x.yml
        az ml model frobnicate
        python -m pip install "azureml-core==1.0.85" pandas
        """,
    )
    found = [(finding.place.line, finding.subject, finding.status) for finding in project.report().findings]
    same, differs, absent = Status.SAME, Status.DIFFERS, Status.ABSENT
    assert found == [
        (3, "az login", differs),
        (4, "az extension add -n azure-cli-ml", differs),
        (5, "az ml model show", same),
        (7, "az ml model list", same),
        (8, "az ml model deploy", differs),
        (8, "az ml service show", same),
        (9, "az ml workspace share", absent),
        (10, "az ml service update", absent),
        (11, "az ml online-deployment create", absent),
        (12, "az ml model frobnicate", absent),
        (13, "azureml-core==1.0.85", differs),
    ]
    notes = {finding.subject: finding.note for finding in project.report().findings}
    assert "--cuda-version: for images" in notes["az ml model deploy"]
    assert "--no-such-option" in notes["az ml service update"]


def test_commands_within_commands_and_a_script_s_own_options(project: Project) -> None:
    project.write(
        "deploy.sh",
        """
        pytest --url $(az ml service show -n s -o tsv) --scorekey $( az ml service get-keys -n s --query "(a)")
        uri=`az ml service show -n s -o tsv`
        az ml datastore upload -n $(az ml datastore show-default --query name -o tsv) -p data --overwr true
        az ml run submit-script --async --exp e -c train --path=$(folder) train.py --data-path x -q 3
        az ml workspace show --workspace w --subscription s
        """,
    )
    found = {(finding.place.line, finding.subject): finding for finding in project.report().findings}
    assert {line: [subject for at, subject in found if at == line] for line, _ in found} == {
        1: ["az ml service show", "az ml service get-keys"],
        2: ["az ml service show"],
        3: ["az ml datastore upload", "az ml datastore show-default"],
        4: ["az ml run submit-script"],
        5: ["az ml workspace show"],
    }
    absent = [finding for finding in found.values() if finding.status in (Status.ABSENT, Status.NOT_YET)]
    assert absent == []


def test_pipelines_of_others(project: Project) -> None:
    project.write(
        ".github/workflows/ci.yml",
        """
        jobs:
          a:
            steps:
            - uses: actions/checkout@v2
            - uses: Azure/aml-deploy@v1
            - run: |
                echo 1
                az ml service delete -n s
            - run: az ml service show -n s
        """,
    )
    project.write(
        "azure-pipelines.yml", "steps:\n- task: AMLModelDeploy@0\n- bash: >-\n    az ml service show\n    -n s\n"
    )
    assert lines(project.report()) == [
        ".github/workflows/ci.yml:5 Azure/aml-deploy absent",
        ".github/workflows/ci.yml:8 az ml service delete same",
        ".github/workflows/ci.yml:9 az ml service show same",
        "azure-pipelines.yml:2 AMLModelDeploy absent",
        "azure-pipelines.yml:4 az ml service show same",
    ]


def test_lists_of_packages_and_what_is_left_alone(project: Project) -> None:
    project.write("requirements-dev.txt", "pandas\nazureml-sdk==1.0.85  # x\nazure-ai-ml\n")
    project.write("Dockerfile", 'FROM x\nRUN ["pip", "install", "azureml-core"]\n')
    project.write("venv/pyvenv.cfg", "home = /")
    project.write("venv/lib/x.py", "ws.write_config()\n")
    project.write("azureml-models/m/1/score.py", "ws.write_config()\n")
    project.write(".git/x.py", "ws.write_config()\n")
    project.write("data.csv", "azureml\n")
    assert lines(project.report()) == [
        "requirements-dev.txt:2 azureml-sdk==1.0.85  # x differs",
        "requirements-dev.txt:3 azure-ai-ml absent",
    ]


def test_one_file_and_none(project: Project, tmp_path: Path) -> None:
    project.write("a.py", "ws.write_config()\n")
    project.write("b.py", "ws.write_config()\n")
    assert lines(examine(tmp_path / "a.py", takes=known_options)) == ["a.py:1 Workspace.write_config same"]
    with pytest.raises(UserErrorException, match="nothing at"):
        examine(tmp_path / "c", takes=known_options)

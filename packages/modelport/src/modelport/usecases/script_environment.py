"""The command and the environment variables of a submitted script: values that can be looked at."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import azureml._modelport
from azureml._runs.folder import FOLDER_VARIABLE, RunFolder
from modelport.domain.environments import Interpreter
from modelport.usecases.submission import Argument, Submission

NOT_PASSED_ON = ("PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH", "JPY_PARENT_PID", "JPY_SESSION_NAME")
"""They describe the program that submits, not the script's."""

_PYTHON = "python"
"""The folder of the run that its script finds ``azureml`` in, and nothing else of ours."""


_REFERENCE = re.compile(r"\$AZUREML_DATAREFERENCE_(\w+)")


def script_command(submission: Submission, interpreter: Interpreter, inputs: Mapping[str, str]) -> list[str]:
    """The interpreter and the script with its arguments, or the command that was given instead."""
    if submission.script is not None:
        return [*interpreter.command, submission.script, *_texts(submission.arguments, inputs)]
    if isinstance(submission.command, str):
        return ["/bin/sh", "-c", submission.command]
    return _texts(submission.command or (), inputs)


def _texts(arguments: Sequence[Argument], inputs: Mapping[str, str]) -> list[str]:
    return [_text(each, inputs) if isinstance(each, str) else inputs[each["input"]] for each in arguments]


def _text(argument: str, inputs: Mapping[str, str]) -> str:
    """With the paths of the inputs that it names as v1 wrote them: ``$AZUREML_DATAREFERENCE_<name>``."""
    return _REFERENCE.sub(lambda match: inputs.get(match[1], match[0]), argument)


def script_environment(
    run: RunFolder, submission: Submission, interpreter: Interpreter, inputs: Mapping[str, str]
) -> dict[str, str]:
    """This process's variables, the environment's own, the paths of the inputs by their names, and last those that say
    which run it is. The folder that they name for ``azureml`` is made."""
    environ = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    if environ.get("MPLBACKEND", "").startswith("module://"):  # a notebook's, which the script has not
        del environ["MPLBACKEND"]
    own = Path(interpreter.command[0]).parent
    environ["PATH"] = os.pathsep.join([str(own), environ.get("PATH", os.defpath)])
    environ["PYTHONUNBUFFERED"] = "1"
    environ |= submission.environment_variables
    environ |= {name: path for given, path in inputs.items() for name in (given, f"AZUREML_DATAREFERENCE_{given}")}
    kept = environ.get("PYTHONPATH") if interpreter.keeps_python_path else None
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_azureml_folder(run), kept]))
    return environ | _contract(run)


def _azureml_folder(run: RunFolder) -> str:
    folder = Path(run.path) / _PYTHON
    folder.mkdir(exist_ok=True)
    (folder / "azureml").symlink_to(Path(azureml._modelport.__file__).parent)
    return str(folder)


def _contract(run: RunFolder) -> dict[str, str]:
    """The variables of v1 that scripts and libraries read, and our own."""
    content = run.document.read()
    workspace = json.loads((Path(run.path) / "client.json").read_text(encoding="utf-8"))["workspace"]
    return {
        FOLDER_VARIABLE: run.path,
        "AZUREML_RUN_ID": run.run_id,
        "AZUREML_EXPERIMENT_ID": content["experiment_id"],
        "AZUREML_ARM_SUBSCRIPTION": workspace["subscription_id"],
        "AZUREML_ARM_RESOURCEGROUP": workspace["resource_group"],
        "AZUREML_ARM_WORKSPACE_NAME": workspace["name"],
        "AZUREML_ARM_PROJECT_NAME": content["experiment"],
    }

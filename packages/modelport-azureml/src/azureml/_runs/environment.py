"""The environment of a submitted run, as the client's object."""

import importlib.util
import json
import os
from importlib import import_module
from typing import Any

from azureml._errors import user_error
from azureml._placeholders import needs_client

SUBMISSION = "submission.json"


def environment_of(folder: str, run_id: str) -> Any:
    """An Environment. Raises UserErrorException for a run that had none of its own, ImportError without the client."""
    definition = None
    path = os.path.join(folder, SUBMISSION)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            definition = json.load(file)["environment"]
    if definition is None:
        raise user_error(
            "The run {} has no environment of its own: it ran in the Python that started it.".format(run_id)
        )
    if importlib.util.find_spec("modelport") is None:
        needs_client("azureml.core.Run.get_environment")
    read = import_module("modelport.environments.definition_json").definition_from_json
    return import_module("modelport.sdk.v1.environment").Environment.from_definition(read(definition))

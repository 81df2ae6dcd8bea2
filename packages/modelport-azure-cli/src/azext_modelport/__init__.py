"""The extension modelport-azure-cli: ``az ml`` as a table of commands that the program ``az-ml`` runs.

What ``az`` asks for is imported when it does: table and program need no ``az``.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "COMMAND_LOADER_CLS":
        return importlib.import_module("azext_modelport.loader").MachineLearningCommands
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))

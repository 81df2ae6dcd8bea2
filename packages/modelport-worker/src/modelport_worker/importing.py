"""Names that a user's script finds without a folder on ``sys.path``: ``azureml``, and joblib by its old one."""

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional, Sequence

PACKAGE = "azureml"
IN_SERVICE = "in a service"
"""What the package finds in its ``__spec__.loader_state``: it does not load the client there."""


class AzuremlFinder(MetaPathFinder):
    """Finds the package ``azureml`` in our folder, whatever else of that name the environment holds.

    Only the package itself: its modules are then found on its ``__path__``, which it extends by the folders of other
    ``azureml`` distributions, so that what only they have stays importable.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Optional[Sequence[Any]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname != PACKAGE:
            return None
        start = os.path.join(self._folder, "__init__.py")
        spec = importlib.util.spec_from_file_location(fullname, start, submodule_search_locations=[self._folder])
        if spec is not None:
            spec.loader_state = IN_SERVICE
        return spec


def offer_azureml(folder: str) -> None:
    """Make ``import azureml`` give the package in ``folder``, and let the old name of joblib be found."""
    # Old distributions create the name at the start of Python, through a .pth file.
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    sys.meta_path.insert(0, AzuremlFinder(folder))
    # Scripts may import joblib by its old name before azureml, and without it: from its file, then.
    spec = importlib.util.spec_from_file_location("_modelport_old_joblib", os.path.join(folder, "_old_joblib.py"))
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.offer()

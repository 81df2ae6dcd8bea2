"""Names that a user's script finds without a folder on ``sys.path``: ``azureml``, and an old one of joblib."""

import importlib.util
import os
import sys
from importlib.abc import Loader, MetaPathFinder
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


class OldJoblib(MetaPathFinder, Loader):
    """Gives joblib for ``sklearn.externals.joblib``, which scikit-learn had until 0.23: scripts of 2019 import it.

    Asked last: where scikit-learn has it, that one is taken.
    """

    _spec = None  # type: Optional[ModuleSpec]

    def find_spec(
        self, fullname: str, path: Optional[Sequence[Any]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname != "sklearn.externals.joblib" or importlib.util.find_spec("joblib") is None:
            return None
        print("This scikit-learn has no " + fullname + " any more: joblib itself is taken.", flush=True)
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        joblib = importlib.import_module("joblib")
        self._spec = joblib.__spec__
        return joblib

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # which the import system has just replaced


def offer_azureml(folder: str) -> None:
    """Make ``import azureml`` give the package in ``folder``, and let the old name of joblib be found."""
    # Old distributions create the name at the start of Python, through a .pth file.
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    sys.meta_path.insert(0, AzuremlFinder(folder))
    sys.meta_path.append(OldJoblib())

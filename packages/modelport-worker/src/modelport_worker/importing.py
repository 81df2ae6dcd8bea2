"""Names that a user's script finds without a folder on ``sys.path``: ``azureml``, its classes for raw requests by the
name of v1's server, and joblib by its old one."""

import importlib
import importlib.util
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional, Sequence

PACKAGE = "azureml"
IN_SERVICE = "in a service"
"""What the package finds in its ``__spec__.loader_state``: it does not load the client there."""

SERVER = "azureml_inference_server_http"
SERVER_PACKAGES = (SERVER, SERVER + ".api")
SERVER_MODULES = {
    SERVER + ".api.aml_request": "azureml.contrib.services.aml_request",
    SERVER + ".api.aml_response": "azureml.contrib.services.aml_response",
    SERVER + ".log_config": "modelport_worker.log_config",
}
"""Modules of v1's server that scripts import, and a ``logging.json`` names. That server is not the one that calls the
script here: its own ``rawhttp``, where the environment holds it, would be heard by nobody."""


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


class ServerNames(MetaPathFinder, Loader):
    """Gives our modules for those of ``SERVER_MODULES``, and empty packages to hold them where there are none."""

    _spec = None  # type: Optional[ModuleSpec]

    def find_spec(
        self, fullname: str, path: Optional[Sequence[Any]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname in SERVER_MODULES:
            return ModuleSpec(fullname, self)
        if fullname in SERVER_PACKAGES and PathFinder.find_spec(fullname, path) is None:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        if spec.name not in SERVER_MODULES:
            return None
        module = importlib.import_module(SERVER_MODULES[spec.name])
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ not in SERVER_PACKAGES:
            module.__spec__ = self._spec  # which the import system has just replaced


def offer_azureml(folder: str) -> None:
    """Make ``import azureml`` give the package in ``folder``, and let the other names be found."""
    # Old distributions create the name at the start of Python, through a .pth file.
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    sys.meta_path[:0] = [AzuremlFinder(folder), ServerNames()]
    # Scripts may import joblib by its old name before azureml, and without it: from its file, then.
    spec = importlib.util.spec_from_file_location("_modelport_old_joblib", os.path.join(folder, "_old_joblib.py"))
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.offer()

"""Starts a worker: ``<interpreter> <this file> --socket <fd> --page <fd> --azureml <folder>``.

Python has put this file's folder first on ``sys.path``, where its modules would stand before the user's. It is taken
off before anything else is imported, and the package is loaded by its path, so that neither it nor the packages
installed beside it can be seen by the user's script.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.realpath(__file__))
if sys.path and os.path.realpath(sys.path[0] or os.curdir) == FOLDER:
    del sys.path[0]

import importlib  # noqa: E402  what is imported from here on comes from the user's environment
import importlib.util  # noqa: E402
from types import ModuleType  # noqa: E402


def load_package(folder: str) -> ModuleType:
    """The package in ``folder``, importable under its name from now on, without ``folder``'s parent on ``sys.path``."""
    name = os.path.basename(folder)
    path = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[folder])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


if __name__ == "__main__":
    importlib.import_module(load_package(FOLDER).__name__ + ".process").main(sys.argv[1:])

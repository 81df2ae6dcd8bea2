"""The user's script: where it is, how it is loaded, and which of its functions are called (reference, 5.2)."""

import importlib
import importlib.util
import inspect
import os
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, Callable, List, NamedTuple, Optional

from modelport_worker.failures import ScriptError, list_folder

ALIKE = {
    "init": ("initialize", "initialise", "setup", "load", "load_model", "init_model"),
    "run": ("predict", "score", "main", "inference", "infer", "handler", "handle"),
}
"""What others call the two functions."""


class EntryScript(NamedTuple):
    """``run_batch``, where there is one, takes the arguments of several requests and returns an answer for each."""

    init: Callable[[], Any]
    run: Callable[..., Any]
    run_batch: Optional[Callable[..., Any]] = None


def load_entry_script() -> EntryScript:
    """Import the script that AZUREML_ENTRY_SCRIPT names, or ``main``.

    Raises ScriptError where there is no script or it lacks a function, and whatever the script's own code raises.
    """
    root = app_root()
    prepare_search_path(root, os.environ.get("AZUREML_SOURCE_DIRECTORY"))
    script = os.environ.get("AZUREML_ENTRY_SCRIPT")
    sys.argv = [script or "main.py"]  # the worker's own arguments are nothing for the script to parse
    module = load_file(root, script) if script else importlib.import_module("main")
    return choose_functions(module)


def app_root() -> str:
    return os.environ.get("AML_APP_ROOT") or os.getcwd()


def prepare_search_path(root: str, source_directory: Any) -> None:
    """The app root stands first, and the shipped folder last."""
    sys.path.insert(0, root)
    if source_directory:
        sys.path.append(os.path.join(root, source_directory))


def load_file(root: str, script: str) -> ModuleType:
    path = os.path.join(root, script)
    if not os.path.isfile(path):
        raise ScriptError(
            "The entry script {} is not in {}. The files there:\n{}".format(script, root, list_folder(root))
        )
    name = module_name(path)
    loader = SourceFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    loader.exec_module(module)
    return module


def module_name(path: str) -> str:
    """The script's own name, so that ``import score`` elsewhere in the code gives this module; another name where
    the script's is that of a module it might itself import, such as ``json``."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem.isidentifier() and stem not in sys.modules:
        found = importlib.util.find_spec(stem)
        if found is None or (found.origin and os.path.realpath(found.origin) == os.path.realpath(path)):
            return stem
    return "entry_script"


def choose_functions(module: ModuleType) -> EntryScript:
    """``init`` of the module, and ``run`` of it or of the module it wraps as ``driver_module``."""
    inner = getattr(module, "driver_module", None)
    wraps = isinstance(inner, ModuleType) and hasattr(inner, "run")
    init = required_function(module, "init", "def init():")
    served = inner if wraps else module
    run = required_function(served, "run", "def run(data):")
    run_batch = getattr(served, "run_batch", None)
    for name, function in (("init", init), ("run", run), ("run_batch", run_batch)):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ScriptError(
                "{}() of the entry script is asynchronous (async def). Make it an ordinary function, in which "
                "asyncio.run() calls what is asynchronous.".format(name)
            )
    return EntryScript(init, run, run_batch)


def required_function(module: Any, name: str, example: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        own = own_functions(module)
        has = "It has: {}.".format(", ".join(each + "()" for each in own)) if own else "It has no functions."
        meant = [each for each in own if each.lower() == name or each in ALIKE[name]]
        advice = "Rename {}() to {}".format(meant[0], name) if meant else "Define it: {}".format(example)
        raise ScriptError("The entry script has no function {}(). {} {}".format(name, has, advice))
    return function  # type: ignore[no-any-return]


def own_functions(module: Any) -> List[str]:
    """The names of the functions that the script itself defines, in its order."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]

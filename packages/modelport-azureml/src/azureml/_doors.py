"""How a module of ``azureml`` finds its names: in the table, when they are asked for, and not before.

So ``import azureml.core`` loads nothing of the client, and a script that runs inside a service never does unless it
asks for it.
"""

import importlib.util
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Callable, List, Tuple

from azureml import _modelport
from azureml._placeholders import missing_client, not_here
from azureml._table import DOORS, NOT_HERE, WITHOUT_CLIENT

CLIENT = "modelport"


def open_door(module: str) -> Tuple[List[str], Callable[[str], Any], Callable[[], List[str]]]:
    """For the module of that name: its ``__all__``, its ``__getattr__`` and its ``__dir__``."""
    names = sorted(name for name in DOORS[module] if not name.startswith("_"))

    def get(name: str) -> Any:
        return _look_up(module, name)

    def list_names() -> List[str]:
        return sorted({*vars(sys.modules[module]), *names})

    if sys.version_info < (3, 7):  # which has no __getattr__ of modules
        sys.modules[module].__class__ = _Door
    return names, get, list_names


class _Door(ModuleType):
    """A module on Python 3.6."""

    def __getattr__(self, name: str) -> Any:
        return _look_up(self.__name__, name)

    def __dir__(self) -> List[str]:
        return vars(self)["__dir__"]()  # type: ignore[no-any-return]


def _look_up(module: str, name: str) -> Any:
    """Find the name and keep it in the module.

    Raises AttributeError for a name that v1 did not have, ImportError for one that is not available yet.
    """
    if module + "." + name in DOORS:  # azureml.core.model, without an import of its own
        return import_module(module + "." + name)
    if name not in DOORS[module]:
        raise AttributeError("module {!r} has no attribute {!r}".format(module, name))
    value = _value(module, name, DOORS[module][name])
    setattr(sys.modules[module], name, value)
    return value


def _value(module: str, name: str, place: str) -> Any:
    if place.startswith("not here:"):
        return not_here(module, name, NOT_HERE[place.split(":")[1]])
    if not place.startswith(CLIENT):
        return _load(place)
    if _modelport.IN_SERVICE and place in WITHOUT_CLIENT:
        return _load(WITHOUT_CLIENT[place])
    if importlib.util.find_spec(CLIENT) is None:
        return _load(WITHOUT_CLIENT[place]) if place in WITHOUT_CLIENT else missing_client(module, name)
    value = _load_client(module, name, place)
    _modelport.note_client()
    return value


def _load(place: str) -> Any:
    home, name = place.split(":")
    return getattr(import_module(home), name)


def _load_client(module: str, name: str, place: str) -> Any:
    try:
        return _load(place)
    except ModuleNotFoundError as error:
        if error.name != place.split(":")[0]:
            raise
    except AttributeError:
        home = sys.modules.get(place.split(":")[0])
        if home is None or hasattr(home, place.split(":")[1]):  # None: its import failed
            raise
    raise ImportError(
        "{}.{} is not available yet: this version of Modelport has no {}.".format(module, name, place.replace(":", "."))
    )

"""What is said where a script uses a name of the client: it is a part of its own, and a service does not need it."""

import sys
from types import ModuleType
from typing import Any, FrozenSet, NoReturn

HOW_TO_INSTALL = "It is part of the client: install modelport-azureml[client] where you register and deploy models."


def needs_client(name: str) -> NoReturn:
    """Raise the ImportError that says how to get ``name``."""
    raise ImportError("{} is not available inside a scoring service. {}".format(name, HOW_TO_INSTALL))


class _Door(ModuleType):
    """A module that explains the names it lacks. A class, because Python 3.6 knows no ``__getattr__`` of modules."""

    _client_names: FrozenSet[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        if name in self._client_names:
            needs_client(self.__name__ + "." + name)
        raise AttributeError("module {!r} has no attribute {!r}".format(self.__name__, name))


def explain_client_names(module: str, names: FrozenSet[str]) -> None:
    """Make ``from module import name`` say how to install the client, for each of ``names``."""
    sys.modules[module].__class__ = type("Door", (_Door,), {"_client_names": names})

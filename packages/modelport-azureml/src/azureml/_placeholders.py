"""Classes that can be imported where the real thing is not there, and say at their first use what to do."""

import sys
from typing import Any, NoReturn, Type

HOW_TO_INSTALL = "Install modelport-azureml[client] where you register and deploy models."
CLIENT_NEEDS = (3, 11)


def needs_client(name: str) -> NoReturn:
    """Raise the ImportError that says how to get ``name``."""
    raise ImportError(
        "{} is a part of the client, and this Python ({}, {}.{}) has no client. {}{}".format(
            name, sys.executable, sys.version_info[0], sys.version_info[1], HOW_TO_INSTALL, _which_python()
        )
    )


def _which_python() -> str:
    if sys.version_info >= CLIENT_NEEDS:
        return ""
    return " It needs Python {}.{} or newer.".format(*CLIENT_NEEDS)


class _Placeholder(type):
    """The class of a placeholder. Any use of it complains; ``isinstance``, subclassing and printing are no use."""

    def complain(cls) -> NoReturn:
        raise NotImplementedError

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        cls.complain()

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # what Python itself looks for, as in pickling and in documentation
            raise AttributeError(name)
        cls.complain()


class _MissingClient(_Placeholder):
    def complain(cls) -> NoReturn:
        needs_client(cls.__module__ + "." + cls.__name__)


class _NotHere(_Placeholder):
    instead = ""

    def complain(cls) -> NoReturn:
        raise NotImplementedError("{}.{} is not there. {}".format(cls.__module__, cls.__name__, cls.__doc__))


def missing_client(module: str, name: str) -> Type[Any]:
    """A stand-in for a name of the client. Its use raises ImportError."""
    return _MissingClient(name, (), {"__module__": module, "__doc__": HOW_TO_INSTALL})


def not_here(module: str, name: str, instead: str) -> Type[Any]:
    """A stand-in for a name of what Modelport does not do. Its use raises NotImplementedError with ``instead``."""
    return _NotHere(name, (), {"__module__": module, "__doc__": instead})

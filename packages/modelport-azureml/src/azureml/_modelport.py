"""Modelport's marker: a folder ``azureml`` that holds this module is ours. Also the door between script and worker."""

from typing import Any, Callable, List

IN_SERVICE = False
"""Whether a worker of a service runs this: the package's ``__init__`` says so."""

_state = {"raw_http": False, "client": False, "request_ids": False}
_request_ids: List[str] = [""]
_request_factory: List[Callable[..., Any]] = []


def request_raw_http(make_request: Callable[..., Any]) -> None:
    """Note that the script has a function under ``@rawhttp``, which takes what ``make_request`` makes."""
    _state["raw_http"] = True
    _request_factory[:] = [make_request]


def raw_http_requested() -> bool:
    """Whether the script wants whole requests instead of arguments."""
    return _state["raw_http"]


def note_client() -> None:
    """Note that a name of the client was asked for through ``azureml``: errors then read as v1's do."""
    _state["client"] = True


def client_noted() -> bool:
    """Whether this program uses v1's names."""
    return _state["client"]


def request_factory() -> Callable[..., Any]:
    """What makes the object that a function under ``@rawhttp`` is called with; see
    ``azureml.contrib.services.aml_request``."""
    return _request_factory[0]


def want_request_ids() -> None:
    """Note that the script asks for the id of the request that it scores (``request_id``)."""
    _state["request_ids"] = True


def request_ids_wanted() -> bool:
    """Whether the worker is to note the id of each request."""
    return _state["request_ids"]


def note_request_id(request_id: str) -> None:
    """Note whose request is scored from now on."""
    _request_ids[0] = request_id


def request_id() -> str:
    """The id of the request that is being scored; nothing outside of services, and where several are scored at once."""
    return _request_ids[0]

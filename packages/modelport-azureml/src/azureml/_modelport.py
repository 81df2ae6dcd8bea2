"""Modelport's marker: a folder ``azureml`` that holds this module is ours. Also the door between script and worker."""

from typing import Any, Callable, List, Tuple

_state = {"raw_http": False}
_request_factory: List[Callable[..., Any]] = []


def request_raw_http(make_request: Callable[..., Any]) -> None:
    """Note that the script has a function under ``@rawhttp``, which takes what ``make_request`` makes."""
    _state["raw_http"] = True
    _request_factory[:] = [make_request]


def raw_http_requested() -> bool:
    """Whether the script wants whole requests instead of arguments."""
    return _state["raw_http"]


def make_request(method: str, path: str, *, query: str, headers: List[Tuple[str, str]], body: bytes) -> Any:
    """The object that a function under ``@rawhttp`` is called with."""
    return _request_factory[0](method, path, query=query, headers=headers, body=body)

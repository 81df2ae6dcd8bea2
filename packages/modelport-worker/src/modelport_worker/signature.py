"""What the user's ``run`` takes."""

import inspect
from inspect import Parameter
from typing import Any, Callable, Dict, List, NamedTuple

from modelport_worker.failures import ScriptError

REQUEST_HEADERS = "request_headers"
"""A parameter of this name receives the request's headers (reference, 5.2); the rule is by name."""

REFUSED_KINDS: Dict[Any, str] = {
    Parameter.VAR_POSITIONAL: "*{}",
    Parameter.VAR_KEYWORD: "**{}",
    Parameter.POSITIONAL_ONLY: "the positional-only parameter {}",
}


class RunSignature(NamedTuple):
    """``names`` of the data parameters, in order; ``defaults`` of those that have one."""

    names: List[str]
    defaults: Dict[str, Any]
    wants_headers: bool


def read_signature(run: Callable[..., Any]) -> RunSignature:
    """The parameters of ``run``, seen through decorators. Raises ScriptError where it cannot be called by name."""
    parameters = inspect.signature(run).parameters
    for parameter in parameters.values():
        refuse_unnamed(parameter)
    data = {name: parameter for name, parameter in parameters.items() if name != REQUEST_HEADERS}
    if not data:
        raise ScriptError("run() has no parameter for the data of a request. Give it one: def run(data).")
    defaults = {name: found.default for name, found in data.items() if found.default is not Parameter.empty}
    return RunSignature(list(data), defaults, REQUEST_HEADERS in parameters)


def refuse_unnamed(parameter: Parameter) -> None:
    pattern = REFUSED_KINDS.get(parameter.kind)
    if pattern is not None:
        raise ScriptError(
            "run() has {}: what it takes must be named, so that the keys of a request can be matched with it. "
            "Name its parameters; a decorator of your own must use functools.wraps.".format(
                pattern.format(parameter.name)
            )
        )


def describe_parameters(signature: RunSignature, unchecked: Dict[str, List[str]]) -> List[Dict[str, Any]]:
    """The ``parameters`` of a READY frame."""
    described = []
    for name in signature.names:
        found: Dict[str, Any] = {"name": name, "required": name not in signature.defaults}
        if unchecked.get(name):
            found["unchecked"] = unchecked[name]
        described.append(found)
    return described

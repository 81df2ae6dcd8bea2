"""What the published ``inference_schema`` package, any version of it, knows of the user's ``run``."""

import json
import sys
from typing import Any, Callable, Dict, List, Optional

from modelport_worker.failures import ScriptError

UTILITIES = "inference_schema.schema_util"

VERSIONS = ["2.0", "3.0", "3.1"]
"""Of OpenAPI. Packages that do not name those they support make only what is valid in all."""


def decorated_function(run: Callable[..., Any]) -> Optional[Callable[..., Any]]:
    """The function that ``inference_schema`` decorated: ``run``, or one inside it; None if there is none.

    The package finds what it has decorated through the closure of a function, where a decorator of the user's can
    stand in the way; those that use functools.wraps are looked through here.
    """
    utilities: Any = sys.modules.get(UTILITIES)
    while utilities is not None and run is not None:
        if utilities.is_schema_decorated(run):
            return run
        run = getattr(run, "__wrapped__", None)  # type: ignore[assignment]
    return None


def has_input_schema(function: Callable[..., Any]) -> bool:
    """Whether ``@input_schema`` is among the decorators, not only ``@output_schema``."""
    return "properties" in read_input_schema(function)


def read_input_schema(function: Callable[..., Any]) -> Any:
    """The package's schema of what ``run`` takes. Its example lacks parameters whose own example is null: that is how
    a script offers several forms of a body, of which a request has one."""
    utilities: Any = sys.modules[UTILITIES]
    schema = utilities.get_input_schema(function)
    if not isinstance(schema.get("example"), dict):
        return schema
    example = {name: value for name, value in schema["example"].items() if value is not None}
    return dict(schema, example=example)


def collect_schemas(function: Callable[..., Any], notes: List[str]) -> Dict[str, Dict[str, Any]]:
    """The ``schemas`` of a READY frame. What had to be changed is added to ``notes``.

    Raises ScriptError where a schema cannot be written as JSON.
    """
    utilities: Any = sys.modules[UTILITIES]
    supported = utilities.get_supported_versions(function) if hasattr(utilities, "get_supported_versions") else VERSIONS
    schemas = {
        "input": as_json(read_input_schema(function), notes),
        "output": as_json(utilities.get_output_schema(function), notes),
    }
    return {version: schemas for version in supported}


def as_json(schema: Any, notes: List[str]) -> Any:
    """The schema as JSON can have it: NaN and infinity become null, and all else that JSON lacks becomes text."""
    try:
        json.dumps(schema, allow_nan=False)
        return schema
    except (TypeError, ValueError, RecursionError):
        notes.append(
            "A schema of run() holds what JSON lacks: null for NaN in the OpenAPI document, or a value's text."
        )
    try:
        return json.loads(json.dumps(schema, default=str, skipkeys=True), parse_constant=lambda name: None)
    except (ValueError, RecursionError) as error:
        raise ScriptError("A schema of run() cannot be written as JSON: {}".format(error))

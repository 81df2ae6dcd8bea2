"""The user's script, made ready to answer requests."""

import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from modelport_worker.arguments import Arguments, json_arguments, raw_arguments, text_arguments, with_headers
from modelport_worker.entry_script import EntryScript
from modelport_worker.failures import ScriptError
from modelport_worker.schema import collect_schemas, decorated_function, has_input_schema
from modelport_worker.signature import RunSignature, describe_parameters, read_signature

SERVING_NAMES = "azureml._modelport"
"""The module of our ``azureml`` package that tells the worker what the script asked for."""


class Service(NamedTuple):
    """``input`` as in a READY frame; ``decorated`` is what ``inference_schema`` knows, if anything."""

    script: EntryScript
    signature: RunSignature
    input: str
    decorated: Optional[Callable[..., Any]]
    arguments: Arguments


def make_service(script: EntryScript) -> Service:
    """Look at ``run`` once, so that a request costs nothing of it. Raises ScriptError where it cannot be served."""
    signature = read_signature(script.run)
    decorated = decorated_function(script.run)
    kind = input_kind(decorated)
    arguments = make_arguments(kind, signature)
    if signature.wants_headers:
        arguments = with_headers(arguments)
    return Service(script, signature, kind, decorated, arguments)


def input_kind(decorated: Optional[Callable[..., Any]]) -> str:
    """The ``input`` of a READY frame. As in the original server, ``@output_schema`` alone asks for JSON too."""
    if not asks_for_raw_http():
        return "text" if decorated is None else "json"
    if decorated is not None and has_input_schema(decorated):
        raise ScriptError("run() has both @rawhttp and @input_schema. A raw request has no schema: keep one of them.")
    return "raw"


def asks_for_raw_http() -> bool:
    names = sys.modules.get(SERVING_NAMES)
    return names is not None and bool(names.raw_http_requested())


def make_arguments(kind: str, signature: RunSignature) -> Arguments:
    if kind == "raw":
        return raw_arguments(signature, sys.modules[SERVING_NAMES].make_request)
    return json_arguments(signature) if kind == "json" else text_arguments(signature)


def call_init(service: Service) -> float:
    """Call the script's ``init``; the milliseconds it took."""
    started = time.perf_counter()
    service.script.init()
    return round((time.perf_counter() - started) * 1000, 3)


def describe(service: Service) -> Dict[str, Any]:
    """What a READY frame says of the script. Raises ScriptError where a schema is none."""
    notes: List[str] = []
    schemas = collect_schemas(service.decorated, notes) if service.decorated else {}
    return {
        "input": service.input,
        "parameters": describe_parameters(service.signature),
        "wants_request": service.input == "raw" or service.signature.wants_headers,
        "schemas": schemas,
        "notes": notes,
    }

"""The user's script, made ready to answer requests."""

import importlib
import json
import re
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from modelport_worker.answers import answer_of
from modelport_worker.arguments import (
    Arguments,
    Rejected,
    in_context,
    json_arguments,
    once_seen,
    raw_arguments,
    request_id_in,
    request_in,
    text_arguments,
    with_headers,
)
from modelport_worker.batching import Batcher, RowBatcher
from modelport_worker.entry_script import EntryScript
from modelport_worker.failures import ScriptError
from modelport_worker.frames import SCORE
from modelport_worker.link import Frame
from modelport_worker.samples import ArraySample, Sample, below_decorators, find_sample, unchecked
from modelport_worker.schema import collect_schemas, decorated_function, has_input_schema, read_input_schema
from modelport_worker.signature import RunSignature, describe_parameters, read_signature

REQUESTS = "azureml.contrib.services.aml_request"
FLASK = "azureml.contrib.services._flask_if_imported"

SERVING_NAMES = "azureml._modelport"
"""The module of our ``azureml`` package that tells the worker what the script asked for."""


class Service(NamedTuple):
    """``input`` as in a READY frame; ``decorated`` is what ``inference_schema`` knows, if anything; ``sample`` is there
    where ``run`` needs one parameter, whose rows are understood, and ``batcher`` where requests are to be joined;
    ``run_array`` is what is called with rows that came as an array."""

    script: EntryScript
    signature: RunSignature
    input: str
    decorated: Optional[Callable[..., Any]]
    arguments: Arguments
    sample: Optional[Sample]
    batcher: Optional[Batcher]
    run_array: Callable[..., Any]
    wants_request: bool


def make_service(script: EntryScript, *, together: int = 1, wait_s: float = 0.0) -> Service:
    """Look at ``run`` once, so that a request costs nothing of it. Raises ScriptError where it cannot be served.

    ``together``: so many requests may be scored by one call, and ``wait_s`` seconds be waited for them.
    """
    signature = read_signature(script.run)
    decorated = decorated_function(script.run)
    kind = input_kind(decorated)
    in_flask = kind != "raw" and together == 1 and "flask" in sys.modules
    in_flask = in_flask and importlib.import_module(FLASK).uses_flask(script.run)
    sample = find_sample(script.run, signature) if kind == "json" and not in_flask else None
    contexts: List[Any] = []
    arguments = make_arguments(kind, signature, sample, contexts)
    if kind == "raw":
        script = script._replace(run=in_context(script.run, contexts), run_batch=None)
    if signature.wants_headers:
        arguments = with_headers(arguments)
    if in_flask:
        make_request = importlib.import_module(REQUESTS).make_request
        arguments = once_seen(arguments, lambda frame: request_in(frame, make_request, contexts))
        script = script._replace(run=in_context(script.run, contexts))
    only = sample if len(signature.names) == 1 and not signature.wants_headers else None
    batcher = make_batcher(script, only, arguments, most=together, wait_s=wait_s) if together > 1 else None
    run_array = below_decorators(script.run, sample) if sample is not None else script.run
    wants_request = kind == "raw" or signature.wants_headers or in_flask
    return Service(script, signature, kind, decorated, arguments, sample, batcher, run_array, wants_request)


def note_requests(service: Service) -> Service:
    """The same; where the script asks for them, the id of each request is noted before it is scored. Call it after
    ``init``, which may ask. Requests that are scored together have no id that is one of them."""
    names = sys.modules.get(SERVING_NAMES)
    if names is None or not names.request_ids_wanted() or service.batcher is not None:
        return service
    arguments = once_seen(service.arguments, lambda frame: names.note_request_id(request_id_in(frame)))
    return service._replace(arguments=arguments, wants_request=True)


def make_batcher(
    script: EntryScript, sample: Optional[Sample], arguments: Arguments, *, most: int, wait_s: float
) -> Batcher:
    if script.run_batch is not None:
        return Batcher(script.run_batch, arguments, most=most, wait_s=wait_s)
    if sample is None or not sample.can_join:
        raise ScriptError(
            "Batching is on, but the script has no run_batch(), and run() has no input whose rows can be joined and be "
            "certain to stay what they are. That needs exactly one parameter, and directly above run() an "
            "@input_schema for it: a NumpyParameterType of numbers, booleans or text with one dimension or more, or a "
            "PandasParameterType of records with columns of these kinds, none with a name that pandas takes for a "
            "date's. Both must enforce the types of their columns, and an array its shape; inference-schema must be "
            "one that does not guess the types of columns (1.5 does not, 1.3 does). Change run(), write a "
            "run_batch(requests), or switch batching off."
        )
    return RowBatcher(script.run, arguments, sample, most=most, wait_s=wait_s)


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


def make_arguments(kind: str, signature: RunSignature, sample: Optional[Sample], contexts: List[Any]) -> Arguments:
    if kind == "raw":
        return raw_arguments(signature, sys.modules[SERVING_NAMES].request_factory(), contexts)
    if kind == "text":
        return text_arguments(signature)
    return json_arguments(signature, sample if isinstance(sample, ArraySample) else None)


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
        "parameters": describe_parameters(service.signature, unchecked(service.decorated)),
        "array": service.sample.describe() if service.sample is not None else None,
        "wants_request": service.wants_request,
        "schemas": schemas,
        "notes": notes,
    }


def warm_up(service: Service) -> None:
    """Score the schema's own example, as if a client had sent it; moments as NumPy reads them (reference, 5.11).

    Raises what ``run`` raises, and ScriptError where there is no example, or it is not accepted.
    """
    if service.decorated is None or not has_input_schema(service.decorated):
        raise ScriptError("The service asks for a warm-up, but run() has no @input_schema with a sample to score.")
    example = json.dumps(read_input_schema(service.decorated)["example"])
    readable = re.sub(r'(?<=:\d\d),(?=\d{6}")', ".", example).encode("ascii")
    frame = Frame(0, SCORE, 0, readable, b'{"headers": []}')
    try:
        answer_of(service.script.run(**service.arguments(frame)))
    except Rejected as rejected:
        raise ScriptError("The sample of run()'s schema is not accepted: {}".format(rejected))

"""How a request becomes the arguments of ``run`` (reference, 5.5)."""

import json
import re
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote_plus

from modelport_worker.failures import ScriptError
from modelport_worker.frames import ARRAY, QUERY
from modelport_worker.json_codec import loads
from modelport_worker.link import Frame
from modelport_worker.samples import ArraySample
from modelport_worker.signature import REQUEST_HEADERS, RunSignature

REQUEST_CONTEXT = "_modelport_context"
"""The attribute in which our ``azureml`` leaves a context manager for the call of ``run``, or None."""

REQUEST_ID = "X-Ms-Request-Id"

KNOWN_HEADS: Dict[bytes, "RequestHead"] = {}
MOST_HEADS = 256
MOST_HEAD_BYTES = 2048
"""So many heads of requests are remembered, by the bytes that told of them."""

Arguments = Callable[[Frame], Dict[str, Any]]
"""From a SCORE frame to keyword arguments. Raises Rejected where the request is at fault."""


class Rejected(Exception):
    """The request cannot be given to ``run``: the client is told why, with status 400."""


def text_arguments(signature: RunSignature) -> Arguments:
    """For ``run(data)`` without a schema: the body as text; the parameters of a query as JSON text."""
    name, others = signature.names[0], signature.names[1:]
    if not signature.defaults.keys() >= set(others):
        raise ScriptError(
            "run() requires several parameters ({}), but has no @input_schema to tell which part of a request "
            "each receives. Decorate it, or leave it one parameter.".format(", ".join(signature.names))
        )

    def arguments(frame: Frame) -> Dict[str, Any]:
        if frame.flags & QUERY:
            return {name: json.dumps(parse_query(frame.payload.decode("latin-1")))}
        try:
            return {name: frame.payload.decode("utf-8")}
        except UnicodeDecodeError as error:
            raise Rejected("Input cannot be decoded as UTF-8: {}".format(error))

    return arguments


def json_arguments(signature: RunSignature, sample: Optional[ArraySample]) -> Arguments:
    """For a ``run`` with ``@input_schema``: the keys of the body are the arguments; keys that it lacks are ignored.

    ``sample`` makes the only argument that is given of the numbers in an ARRAY frame.
    """
    names, defaults = signature.names, signature.defaults

    def arguments(frame: Frame) -> Dict[str, Any]:
        if frame.flags & ARRAY and sample is not None:
            return {**defaults, sample.name: sample.from_memory(frame.payload)}
        given = parse_query(frame.payload.decode("latin-1")) if frame.flags & QUERY else parse_body(frame)
        chosen = {}
        for name in names:
            if name in given:
                chosen[name] = given[name]
            elif name in defaults:
                chosen[name] = defaults[name]  # not left out: the decorators look for it by position then
            else:
                raise Rejected("A value is not provided for the '{}' parameter.".format(name))
        return chosen

    return arguments


def parse_body(frame: Frame) -> Dict[str, Any]:
    """The JSON object in a request's body."""
    if not frame.payload:
        raise Rejected("POST body is empty. Expecting a JSON dictionary.")
    try:
        body = loads(frame.payload)
    except (ValueError, RecursionError) as error:
        raise Rejected("POST body could not be decoded as JSON: {}".format(error))
    if not isinstance(body, dict):
        raise Rejected("POST body should be a JSON dictionary.")
    return body


def parse_query(query: str) -> Dict[str, Any]:
    """A query string: values are parsed as JSON where they are JSON; a repeated name gives a list."""
    found: Dict[str, List[Any]] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquoted(name), []).append(json_or_text(unquoted(value)))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def unquoted(text: str) -> str:
    """A name or a value of a query. Escapes of what is not UTF-8 stay escapes, as in Werkzeug."""
    if "%" not in text:
        return text.replace("+", " ")
    decoded = unquote_plus(text, errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda byte: "%{:02X}".format(ord(byte[0]) & 0xFF), decoded)


def json_or_text(value: str) -> Any:
    try:
        return json.loads(value) if value and value[0] in '"[{-0123456789tfnNI \t\r\n' else value  # texts: no exception
    except (ValueError, RecursionError):
        return value


def request_in(frame: Frame, make_request: Callable[..., Any], contexts: List[Any]) -> Any:
    """The whole request that a SCORE frame is about; what ``run`` is to be called in is left in ``contexts``."""
    head, headers, address = describe(frame)
    body = b"" if frame.flags & QUERY else frame.payload
    made = make_request(head.method, head.path, query=head.query, headers=headers, body=body, address=address)
    context = getattr(made, REQUEST_CONTEXT)
    if context is not None:
        delattr(made, REQUEST_CONTEXT)  # they would keep each other
    contexts[:] = (context,)
    return made


def raw_arguments(signature: RunSignature, make_request: Callable[..., Any], contexts: List[Any]) -> Arguments:
    """For a ``run`` with ``@rawhttp``: the request itself."""
    if len(signature.names) - len(signature.defaults) > 1:
        raise ScriptError("run() with @rawhttp takes the request alone: def run(request).")
    name = signature.names[0]

    def arguments(frame: Frame) -> Dict[str, Any]:
        return {name: request_in(frame, make_request, contexts)}

    return arguments


Headers = Tuple[Tuple[str, str], ...]
"""Their names in Title-Case."""


class RequestHead(NamedTuple):
    """Method, path and query as they came, and the headers that the client sent."""

    method: str
    path: str
    query: str
    headers: Headers


def describe(frame: Frame) -> Tuple[RequestHead, Headers, Optional[str]]:
    """The head of a frame's request, read once where many have it; all of its headers; and the client's address."""
    text, _, rest = frame.meta.partition(b"\n")
    known = KNOWN_HEADS.get(text)
    if known is None:
        told = json.loads(text.decode("utf-8"))
        headers = tuple((name, value) for name, value in told["headers"])
        known = RequestHead(told.get("method", ""), told.get("path", ""), told.get("query", ""), headers)
        if len(KNOWN_HEADS) >= MOST_HEADS:
            KNOWN_HEADS.clear()
        if len(text) <= MOST_HEAD_BYTES:
            KNOWN_HEADS[text] = known
    if not rest:
        return known, known.headers, None
    request_id, _, address = rest.decode("latin-1").partition("\n")
    headers = (*known.headers, (REQUEST_ID, request_id)) if request_id else known.headers
    return known, headers, address or None


def in_context(run: Callable[..., Any], contexts: List[Any]) -> Callable[..., Any]:
    """``run``, called in what its request may have brought along: Flask's request context."""

    def run_in_context(**arguments: Any) -> Any:
        context = contexts.pop()
        if context is None:
            return run(**arguments)
        with context:
            return context.finish(run(**arguments))

    return run_in_context


def with_headers(arguments: Arguments) -> Arguments:
    """The same, and the request's headers as ``request_headers``."""

    def arguments_and_headers(frame: Frame) -> Dict[str, Any]:
        return {**arguments(frame), REQUEST_HEADERS: join_headers(describe(frame)[1])}

    return arguments_and_headers


def once_seen(arguments: Arguments, look: Callable[[Frame], Any]) -> Arguments:
    """The same, once ``look`` has seen the frame."""

    def arguments_of_seen(frame: Frame) -> Dict[str, Any]:
        look(frame)
        return arguments(frame)

    return arguments_of_seen


def request_id_in(frame: Frame) -> str:
    ids = [value for name, value in describe(frame)[1] if name == REQUEST_ID]
    return ids[-1] if ids else ""


def join_headers(headers: Iterable[Tuple[str, str]]) -> Dict[str, str]:
    """A plain dict; the values of a repeated header stand behind one another, as HTTP allows."""
    joined: Dict[str, str] = {}
    for name, value in headers:
        joined[name] = joined[name] + ", " + value if name in joined else value
    return joined

"""Flask's request and response, for scripts that use Flask: AMLRequest and AMLResponse are then Flask's too.

Flask is never imported here: it costs a worker 26 MB and a fifth of a second, and most raw scripts have no use for it.
Once the script, or a library of its, has imported it, requests and responses are made of Flask's classes.
"""

import inspect
import io
import sys
from types import FunctionType, ModuleType
from typing import Any, Dict, Optional, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from azureml.contrib.services._forwarded import scheme_of

REQUEST_CONTEXT = "_modelport_context"
"""The attribute of a request by which the worker finds what ``run`` is to be called in."""

ENDPOINT = "main.handle_score"
"""By which Flask knew the view that called ``run`` in v1's server."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

LARGEST_WHOLE_FILE = 16 * 1024 * 1024
"""So many bytes of a file are read before its answer begins; a larger one is sent while it is read."""

_made: Dict[Any, Any] = {}
"""Our classes and our application, by what they were made of."""


def imported_flask() -> Any:
    """The module ``flask``, or None where nothing has imported the whole of it."""
    flask = sys.modules.get("flask")
    if flask is None:  # asked for each request, and hasattr takes longer to say no
        return None
    return flask if hasattr(flask, "Response") and hasattr(flask, "Flask") else None


def uses_flask(run: Any) -> bool:
    """Whether the module of ``run`` has imported what needs a request of Flask's around it: ``flask`` itself, one of
    its functions (``jsonify``), or ``request``, ``g`` and the like. Its classes need none."""
    return any(map(is_of_flask, list(getattr(inspect.unwrap(run), "__globals__", {}).values())))


def is_of_flask(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ == "flask"
    if isinstance(value, FunctionType):
        return str(value.__module__).partition(".")[0] == "flask"
    return type(value).__module__ == "werkzeug.local"


def joined_class(flasks: type, ours: type, **members: Any) -> Any:
    """A class that is both; Flask's methods come first, after ``members``."""
    if (flasks, ours) not in _made:
        _made[flasks, ours] = type(ours.__name__, (flasks, ours), dict(members, __module__=ours.__module__))
    return _made[flasks, ours]


def make_request(
    flask: Any,
    ours: type,
    method: str,
    path: str,
    *,
    query: str,
    headers: Sequence[Tuple[str, str]],
    body: bytes,
    address: Optional[str],
) -> Any:
    """A request of Flask's, which is one of ours too. Its context, in which ``flask.request`` is this request and
    ``jsonify`` or ``send_file`` work, is left for the worker to enter."""
    context = application(flask, ours).request_context(wsgi_environment(method, path, query, headers, body, address))
    request = context.request
    if request.mimetype not in FORMS:
        request._cached_data = body  # what get_data() gives; read from the stream it would be copied in pieces
    setattr(request, REQUEST_CONTEXT, FlaskContext(flask, context))
    return request


class FlaskContext:
    """Flask's request context, and behind ``run`` what the script left for its response (``after_this_request``)."""

    def __init__(self, flask: Any, context: Any) -> None:
        self._flask = flask
        self._context = context

    def __enter__(self) -> "FlaskContext":
        self._context.push()
        request = self._context.request
        if request.url_rule is None:  # below a prefix, which a service may have
            request.url_rule = next(self._context.app.url_map.iter_rules(ENDPOINT))
            request.view_args, request.routing_exception = {}, None
        return self

    def __exit__(self, *failure: Any) -> None:
        self._context.pop(failure[1])

    def finish(self, returned: Any) -> Any:
        """What is sent instead of what ``run`` returned."""
        if isinstance(returned, self._flask.Response):
            for function in getattr(self._context, "_after_request_functions", ()):
                returned = function(returned)
            read_small_file(returned)
        return returned


def read_small_file(response: Any) -> None:
    """Have the body of a ``send_file`` there as a whole, if it is small. The client is told its length then, as by v1's
    server, and it need not cross in pieces of 8 KiB, which is how Werkzeug reads files."""
    length = response.content_length if response.direct_passthrough else None
    if length is not None and length <= LARGEST_WHOLE_FILE and response.is_streamed:
        response.direct_passthrough = False
        response.make_sequence()


def application(flask: Any, ours: type) -> Any:
    """The application that Flask wants behind a request."""
    if flask not in _made:
        made = _made[flask] = flask.Flask("azureml", static_folder=None)
        made.request_class = joined_class(flask.Request, ours)
        made.add_url_rule("/score", ENDPOINT, methods=["GET", "POST", "OPTIONS"])
    return _made[flask]


def wsgi_environment(
    method: str, path: str, query: str, headers: Sequence[Tuple[str, str]], body: bytes, address: Optional[str]
) -> Dict[str, Any]:
    """The request as a WSGI server would tell of it (PEP 3333)."""
    environment: Dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme_of(headers, address),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if address:
        environment["REMOTE_ADDR"] = address
    for name, value in headers:
        if "_" in name:
            continue  # here it would pass for the header with a hyphen, or as well replace it
        key = name.upper().replace("-", "_")
        environment[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    told = environment.pop("HTTP_CONTENT_LENGTH", None)
    environment.pop("HTTP_TRANSFER_ENCODING", None)
    if body or told is not None:
        environment["CONTENT_LENGTH"] = str(len(body))
    return environment

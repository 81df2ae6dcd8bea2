"""Scripts for the tests of the Open Inference Protocol, and an HTTP server that runs them in this process.

What a worker does with a request is done here in one line: JSON in, ``run``, JSON out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.schema_util import get_input_schema, get_output_schema

from modelport_scoring.inference_protocol.endpoint import Endpoint, ServedVersion
from modelport_scoring.inference_protocol.paths import Place, Target, read_target
from modelport_scoring.inference_protocol.protocol import ProtocolError, Reply, error_reply, error_reply_from
from modelport_scoring.workers.contract import Contract, Parameter

Run = Callable[..., Any]
MAX_BODY_BYTES = 10_000_000
NUMBERS = count()


def schemas(*, output: AbstractParameterType | None = None, **inputs: AbstractParameterType) -> Callable[[Run], Run]:
    """``@input_schema`` for each of the inputs, and ``@output_schema``, on a function of its own."""

    def decorate(run: Run) -> Run:
        run.__name__ += f"_{next(NUMBERS)}"  # the package tells functions apart by it
        for name, sample in inputs.items():
            run = input_schema(name, sample)(run)
        return run if output is None else output_schema(output)(run)

    return decorate


def contract_of(run: Run, **required: bool) -> Contract:
    """What a worker says of that decorated function, whose parameters are ``required`` or not."""
    schemas = json.loads(json.dumps({"input": get_input_schema(run), "output": get_output_schema(run)}))
    parameters = [Parameter(name=name, required=value) for name, value in required.items()]
    return Contract(input="json", parameters=parameters, schemas={"3.1": schemas})


def contract_from(properties: dict[str, Any], *, output: Any = None, example: Any = None, **extra: Any) -> Contract:
    """A contract whose parameters, all required, have those schemas."""
    schema = {"type": "object", "properties": properties, "example": example or {}}
    parameters = [Parameter(name=name, required=True) for name in properties]
    return Contract(input="json", parameters=parameters, schemas={"2.0": {"input": schema, "output": output}}, **extra)


class Model:
    """A service with one version, as the scoring server will serve it."""

    def __init__(self, run: Run, contract: Contract, *, name: str = "iris", version: str = "3") -> None:
        self.run = run
        self.is_ready = True
        self.bodies: list[bytes] = []
        self._version = version
        self._contract = contract
        self.endpoint = Endpoint(
            model=name, versions=lambda: [ServedVersion(self._version, self.is_ready, self._contract)]
        )

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """What a client gets."""
        target = read_target(path.encode())
        if target is None:
            return error_reply(404, f"there is no {path} here")
        refused = self.endpoint.screen(method.encode(), target)
        if refused is not None:
            return refused
        return self._infer(headers, body) if target.place is Place.INFER else self.endpoint.answer(target, body)

    def _infer(self, headers: dict[str, str], body: bytes) -> Reply:
        length = headers.get("inference-header-content-length")
        try:
            call = self.endpoint.begin(
                version=self._version,
                contract=self._contract,
                body=body,
                header_length=None if length is None else length.encode(),
                content_encoding=headers.get("content-encoding", "").encode(),
                max_body_bytes=MAX_BODY_BYTES,
            )
            self.bodies.append(call.input.body())
        except ProtocolError as error:
            return error_reply(error.status, str(error))
        try:
            answer = self.run(**json.loads(self.bodies[-1]))
        except Exception as error:
            return error_reply_from(502, str(error).encode())
        return call.reply(200, json.dumps(answer).encode())


@contextmanager
def serving(model: Model) -> Iterator[str]:
    """``host:port`` of a server that answers for the model while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = model.answer(self.command, self.path, headers, body)
            self.send_response(reply.status)
            self.wfile.write(b"".join(self._headers_buffer))
            self._headers_buffer: list[bytes] = []
            self.wfile.write(reply.lines + b"content-length: %d\r\n\r\n" % len(reply.body) + reply.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def target(path: str) -> Target:
    """The path, which is one of the protocol's."""
    found = read_target(path.encode())
    assert found is not None
    return found

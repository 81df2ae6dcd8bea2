"""The Open Inference Protocol in this service: its routes, and its requests on their way to a worker."""

from __future__ import annotations

from collections.abc import Sequence

from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.inference_protocol.endpoint import (
    Endpoint,
    InferCall,
    Place,
    ServedVersion,
    Target,
)
from modelport_scoring.inference_protocol.protocol import (
    HEADER_LENGTH,
    ProtocolError,
    Reply,
    error_reply,
    error_reply_from,
)
from modelport_scoring.scoring import Scoring, describe_request
from modelport_scoring.script_answers import RUN_OK, failed, returned, run_lines
from modelport_scoring.service import Service
from modelport_scoring.states import ServiceState
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.numbers import NumberReader
from modelport_worker.frames import ALONE, ARRAY, RAISED, UNSERIALIZABLE


class Inference:
    """The paths below ``/v2`` of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.endpoint = Endpoint(model=service.settings.name, versions=self._versions)

    def screen(self, head: Head, target: Target) -> Response | None:
        """The error that the head of a request tells already."""
        reply = self.endpoint.screen(head.method, target)
        return None if reply is None else Response(reply.status, lines=reply.lines, body=reply.body)

    def respond(self, exchange: Exchange, target: Target) -> Response | None:
        """The answer; None where a worker will give it."""
        if target.place is Place.INFER:
            ticket = InferenceTicket(exchange, self._service, target=target, endpoint=self.endpoint)
            self._service.submit(ticket, exchange)
            return None
        reply = self.endpoint.answer(target)
        return Response(reply.status, lines=reply.lines, body=reply.body)

    def _versions(self) -> Sequence[ServedVersion]:
        return [
            ServedVersion(str(hosted.number), hosted.state is ServiceState.RUNNING, hosted.contract)
            for hosted in self._service.hosting.all
        ]


class InferenceTicket(Scoring):
    """One inference request. It becomes what ``run`` gets when a worker takes it: only then its script is known."""

    def __init__(self, exchange: Exchange, service: Service, *, target: Target, endpoint: Endpoint) -> None:
        super().__init__(exchange, service)
        self._target = target
        self._endpoint = endpoint
        self._call: InferCall | None = None
        if target.version is not None:
            self.asked = target.version.encode()

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        version = str(self.revision)
        if self._target.version not in (None, version):
            self._refuse(error_reply(404, f'the model has no version "{self._target.version}" any more'))
            return False
        try:
            self._admit(contract, version)
        except ProtocolError as error:
            self._refuse(error_reply(error.status, str(error)))
            return False
        if contract.wants_request:
            hides_key = self._service.settings.auth.is_required
            self.meta = describe_request(self._exchange, hides_key=hides_key, trace=self._trace)
        return True

    def _admit(self, contract: Contract, version: str) -> None:
        headers = self._exchange.head.headers
        self._call = self._endpoint.begin(
            version=version,
            contract=contract,
            body=self._exchange.body,
            header_length=headers.get(HEADER_LENGTH),
            content_encoding=headers.get(b"content-encoding", b""),
            max_body_bytes=self._service.settings.limits.max_body_bytes,
        )
        if self.posing_as is not None:
            self._call.version = str(self.posing_as)
        self.flags = ALONE if self.alone else 0
        wanted = contract.array
        array = None
        if wanted is not None:
            array = self._call.input.array(parameter=wanted.name, type=wanted.type, row=wanted.row)
        if array is None:
            self.payload = self._call.input.body()
        else:
            self.payload = bytes(array)
            self.flags |= ARRAY

    def scored(self, code: int, flags: int, micros: int, meta: bytes, payload: bytes, together: int) -> None:
        assert self._call is not None, "no worker gets a ticket that was not admitted"
        if flags & (RAISED | UNSERIALIZABLE):
            response = failed(flags, payload, mode=self._service.settings.error_mode)
        else:
            response = returned(code, meta, payload)
        reply = self._call.reply(response.status, response.body)
        run = run_lines(response.status, flags, micros)
        super()._answer(in_protocol(response, reply), run=run, micros=micros, together=together)

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        self._refuse(error_reply(500, "run() answered with a stream, which holds no tensors"))
        self.client_gone()

    def _answer(self, response: Response, *, run: bytes = RUN_OK, micros: int = 0, together: int = 1) -> None:
        """What the ordinary path answers here is an error: nobody took the request, or nobody finished it."""
        super()._answer(as_error(response), run=run, micros=micros, together=together)

    def _refuse(self, reply: Reply) -> None:
        super()._answer(Response(reply.status, lines=reply.lines, body=reply.body))


def in_protocol(response: Response, reply: Reply) -> Response:
    """The reply, with the headers of the response but its content type."""
    kept = [line for line in response.lines.splitlines(keepends=True) if not line.lower().startswith(b"content-type:")]
    return Response(reply.status, lines=reply.lines + b"".join(kept), body=reply.body, close=response.close)


def as_error(response: Response) -> Response:
    """An error of the ordinary path, with its headers, in the protocol's shape."""
    return in_protocol(response, error_reply_from(response.status, response.body))

"""The Open Inference Protocol in this service: its routes, and its requests on their way to a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response
from modelport_scoring.inference_protocol.codec import is_light, read_header_length
from modelport_scoring.inference_protocol.endpoint import Endpoint, InferCall, ServedVersion
from modelport_scoring.inference_protocol.jobs import Done, Job, Read, Wanted, Write
from modelport_scoring.inference_protocol.paths import Place, Target
from modelport_scoring.inference_protocol.protocol import (
    HEADER_LENGTH,
    ProtocolError,
    Reply,
    error_reply,
    error_reply_from,
)
from modelport_scoring.inference_protocol.side_process import NoTurn, SideProcess, SideProcessEnded
from modelport_scoring.logs.journal import say
from modelport_scoring.service import Service
from modelport_scoring.serving.scoring import Scoring, describe_request
from modelport_scoring.serving.script_answers import RUN_OK, failed, returned, run_lines
from modelport_scoring.states import ServiceState
from modelport_scoring.telemetry.statistics import RevisionStatistics
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.ticket import Refusal
from modelport_worker.frames import ALONE, ARRAY, RAISED, UNSERIALIZABLE

HEAVY_BYTES = 512 * 1024
"""Longer bodies, of requests and of answers, are worked on in another process: so much JSON takes about ten
milliseconds."""

HEAVY_CLASSES_BYTES = 32 * 1024
"""Of answers in which the highest values are looked for."""

HEAVY_COMPRESSED_BYTES = 4 * 1024
"""They may be a thousand times as long as they look."""

OF_THE_BODY = (b"content-type:", b"content-encoding:", b"content-md5:", b"digest:", b"etag:", HEADER_LENGTH + b":")
"""Headers that say something of a body; tensors are made of the one that they are said of."""

Outcome = tuple[Done, bytes]


class Inference:
    """The paths below ``/v2`` of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.endpoint = Endpoint(model=service.settings.name, versions=self._versions, statistics=self._read_statistics)

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
        reply = self.endpoint.answer(target, exchange.body)
        return Response(reply.status, lines=reply.lines, body=reply.body)

    def _versions(self) -> Sequence[ServedVersion]:
        return [
            ServedVersion(str(hosted.number), hosted.state is ServiceState.RUNNING, hosted.contract)
            for hosted in self._service.hosting.all
        ]

    def _read_statistics(self) -> Mapping[str, RevisionStatistics] | None:
        telemetry = self._service.telemetry
        if not telemetry.settings.metrics:
            return None
        return {str(revision): counted for revision, counted in telemetry.statistics().items()}


class InferenceTicket(Scoring):
    """One inference request. It becomes what ``run`` gets when a worker takes it: only then its script is known."""

    def __init__(self, exchange: Exchange, service: Service, *, target: Target, endpoint: Endpoint) -> None:
        super().__init__(exchange, service)
        self._target = target
        self._endpoint = endpoint
        self._call: InferCall | None = None
        self._contract: Contract | None = None
        self._read: Outcome | None = None
        """What was read aside, for the contract."""
        if target.version is not None:
            self.asked = target.version.encode()

    def client_gone(self) -> None:
        super().client_gone()
        if self.away is not None:
            self.abandoned = True
            self._exchange.let_go()

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        version = str(self.revision)
        if self._target.version not in (None, version):
            self._refuse(error_reply(404, f'the model has no version "{self._target.version}" any more'))
            return False
        if self._contract is not contract:
            self._contract, self._read = contract, None
        try:
            if self._read is None and self._is_heavy(contract):
                self._read_aside(contract, version)
                return False
            self._admit(contract, version)
        except ProtocolError as error:
            self._refuse(error_reply(error.status, str(error)))
            return False
        if contract.wants_request:
            hides_key = self._service.settings.auth.is_required
            self.meta = describe_request(self._exchange, hides_key=hides_key, trace=self._trace)
        return True

    def _admit(self, contract: Contract, version: str) -> None:
        if self._read is None:
            self._call = self._begin(contract, version)
            argument, is_array = self._call.argument(contract.array)
            self.payload = bytes(argument)
        else:
            done, self.payload = self._read
            if done.error is not None or done.wanted is None:
                raise ProtocolError(done.error or "nothing was read", status=done.status)
            is_array = done.is_array
            self._call = self._endpoint.resume(version=version, contract=contract, request=done.wanted.request)
        if self.posing_as is not None:
            self._call.version = str(self.posing_as)
        self.flags = (ALONE if self.alone else 0) | (ARRAY if is_array else 0)

    def _begin(self, contract: Contract, version: str) -> InferCall:
        headers = self._exchange.head.headers
        return self._endpoint.begin(
            version=version,
            contract=contract,
            body=self._exchange.body,
            header_length=headers.get(HEADER_LENGTH),
            content_encoding=headers.get(b"content-encoding", b""),
            max_body_bytes=self._service.settings.limits.max_body_bytes,
        )

    # --- what would hold up the loop ----------------------------------------------------------------------------------

    def _is_heavy(self, contract: Contract) -> bool:
        headers, body = self._exchange.head.headers, self._exchange.body
        if b"content-encoding" in headers:
            return len(body) > HEAVY_COMPRESSED_BYTES
        if len(body) <= HEAVY_BYTES:
            return False
        if contract.array is None:
            return True
        return not is_light(body, read_header_length(headers.get(HEADER_LENGTH), body_length=len(body)))

    def _read_aside(self, contract: Contract, version: str) -> None:
        service, headers, body = self._service, self._exchange.head.headers, self._exchange.body
        limits, side_process = service.settings.limits, service.side_process
        if side_process.held_bytes and side_process.held_bytes + len(body) > service.share.part(limits.max_queue_bytes):
            self._refuse_by_limit(Refusal.QUEUE_BYTES)
            return
        length = headers.get(HEADER_LENGTH)
        job = Read(
            model=service.settings.name,
            version=version,
            contract=contract,
            header_length=None if length is None else length.decode("latin-1"),
            content_encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
            max_body_bytes=limits.max_body_bytes,
        )

        async def read() -> None:
            wait_s = max(0.0, limits.queue_wait_ms / 1000 - (time.monotonic() - self._started))
            try:
                self._read = await do(side_process, job, body, wait_s=wait_s, is_wanted=lambda: not self.abandoned)
            except NoTurn:
                if not self.abandoned:
                    self.abandoned = True
                    self._refuse_by_limit(Refusal.QUEUE_WAIT)

        self.away = service.do_aside(read())
        side_process.hold(len(body), until=self.away)

    def _refuse_by_limit(self, refusal: Refusal) -> None:
        """As the revision's queue does, which it has left: the log tells of it."""
        hosted = self._service.hosting.find(self.revision)
        if hosted is not None and hosted.revision is not None:
            hosted.revision.pool.limit_log.refused(refusal)
        self.refused(refusal)

    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        assert self._call is not None, "no worker gets a ticket that was not admitted"
        payload = bytes(payload)
        if flags & (RAISED | UNSERIALIZABLE):
            response = failed(flags, payload, mode=self._service.settings.error_mode)
        else:
            response = returned(code, meta, payload)
        run = run_lines(response.status, flags, micros)
        if len(response.body) > (HEAVY_CLASSES_BYTES if self._call.request.wants_classes else HEAVY_BYTES):
            self._write_aside(response, self._call, run=run, micros=micros, together=together)
            return
        reply = self._call.reply(response.status, bytes(response.body))
        super()._answer(in_protocol(response, reply), run=run, micros=micros, together=together)

    def _write_aside(self, response: Response, call: InferCall, *, run: bytes, micros: int, together: int) -> None:
        assert self._contract is not None
        service = self._service
        job = Write(
            model=service.settings.name,
            version=call.version,
            contract=self._contract,
            wanted=Wanted.of(call.request),
            status=response.status,
        )

        async def write() -> None:
            done, body = await do(service.side_process, job, response.body)
            reply = Reply(done.status, done.lines.encode("latin-1"), body)
            if done.error is not None:
                reply = error_reply(done.status, done.error)
            super(InferenceTicket, self)._answer(in_protocol(response, reply), run, micros, together)

        service.side_process.hold(len(response.body), until=service.do_aside(write()))

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        self._refuse(error_reply(500, "run() answered with a stream, which holds no tensors"))
        self.client_gone()

    def _answer(self, response: Response, run: bytes = RUN_OK, micros: int = 0, together: int = 1) -> None:
        """What the ordinary path answers here is an error: nobody took the request, or nobody finished it."""
        super()._answer(as_error(response), run, micros, together)

    def _refuse(self, reply: Reply) -> None:
        super()._answer(Response(reply.status, lines=reply.lines, body=reply.body))


async def do(
    side_process: SideProcess,
    job: Job,
    body: Body,
    *,
    wait_s: float | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Outcome:
    """What comes of the job; that the process ended is an error of the server, as is whatever else keeps the job from
    being done: the client gets an answer. Raises NoTurn."""
    try:
        return await side_process.do(job, body, wait_s=wait_s, is_wanted=is_wanted)
    except NoTurn:
        raise
    except SideProcessEnded as ended:
        return Done(error=str(ended), status=500), b""
    except Exception as error:
        say(f"work on large tensors failed: {error!r}")
        return Done(error=f"the work on large tensors failed ({type(error).__name__})", status=500), b""


def in_protocol(response: Response, reply: Reply) -> Response:
    """The reply, with the headers of the response but for those of its body."""
    kept = [line for line in response.lines.splitlines(keepends=True) if not line.lower().startswith(OF_THE_BODY)]
    return Response(reply.status, lines=reply.lines + b"".join(kept), body=reply.body, close=response.close)


def as_error(response: Response) -> Response:
    """An error of the ordinary path, with its headers, in the protocol's shape."""
    return in_protocol(response, error_reply_from(response.status, bytes(response.body)))

"""Work on large tensors, as a value that another process can do: requests to read, and answers to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from modelport_scoring.inference_protocol.codec import InferRequest, WantedOutput
from modelport_scoring.inference_protocol.endpoint import Endpoint, InferCall
from modelport_scoring.inference_protocol.protocol import Body, ProtocolError, Reply
from modelport_scoring.workers.contract import Contract


class Wanted(msgspec.Struct, frozen=True):
    """What an inference request asks of its answer: an ``InferRequest`` without its inputs."""

    id: str | None
    outputs: list[tuple[str, bool, int]] | None
    """Names, whether as binary data, and how many classes."""
    is_binary: bool

    @classmethod
    def of(cls, request: InferRequest) -> Self:
        outputs = request.outputs
        return cls(
            request.id,
            None if outputs is None else [(wanted.name, wanted.is_binary, wanted.classes) for wanted in outputs],
            request.is_binary,
        )

    @property
    def request(self) -> InferRequest:
        outputs: Sequence[WantedOutput] | None = None
        if self.outputs is not None:
            outputs = [WantedOutput(*wanted) for wanted in self.outputs]
        return InferRequest(inputs={}, id=self.id, outputs=outputs, is_binary=self.is_binary)


class Read(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """Read a request's body. The headers' values are as they came, in Latin-1."""

    model: str
    version: str
    contract: Contract
    header_length: str | None
    content_encoding: str
    max_body_bytes: int


class Write(msgspec.Struct, frozen=True, kw_only=True, tag="write"):
    """Write the answer to a request from the body with which ``run`` answered."""

    model: str
    version: str
    contract: Contract
    wanted: Wanted
    status: int


Job = Read | Write


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job; bytes come with it."""

    error: str | None = None
    status: int = 200
    is_array: bool = False
    """Of a request: whether the bytes are an array's memory, not JSON."""
    wanted: Wanted | None = None
    """Of a request: what it asks of its answer."""
    lines: str = ""
    """Of an answer: its header lines."""


def perform(job: Job, body: Body) -> tuple[Done, bytes | memoryview]:
    """Do the job. Never raises for what a client or a script has sent."""
    endpoint = Endpoint(model=job.model, versions=lambda: ())
    try:
        if isinstance(job, Write):
            reply = endpoint.resume(version=job.version, contract=job.contract, request=job.wanted.request)
            return written(reply.reply(job.status, bytes(body)))
        call = read(job, body, endpoint)
        payload, is_array = call.argument(job.contract.array)
        return Done(is_array=is_array, wanted=Wanted.of(call.request)), payload
    except ProtocolError as error:
        return Done(error=str(error), status=error.status), b""
    except MemoryError:
        return Done(error="the tensors take more memory than there is", status=413), b""


def read(job: Read, body: Body, endpoint: Endpoint) -> InferCall:
    """The request. Raises ProtocolError."""
    return endpoint.begin(
        version=job.version,
        contract=job.contract,
        body=body,
        header_length=None if job.header_length is None else job.header_length.encode("latin-1"),
        content_encoding=job.content_encoding.encode("latin-1"),
        max_body_bytes=job.max_body_bytes,
    )


def written(reply: Reply) -> tuple[Done, bytes]:
    return Done(status=reply.status, lines=reply.lines.decode("latin-1")), reply.body

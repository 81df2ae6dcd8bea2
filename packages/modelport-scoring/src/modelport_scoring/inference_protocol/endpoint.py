"""The paths below ``/v2``: what they are answered with, and the inference requests that go to a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from modelport_scoring.inference_protocol.answers import read_answer
from modelport_scoring.inference_protocol.codec import (
    InferRequest,
    decode_raw_request,
    decode_request,
    encode_response,
    read_header_length,
)
from modelport_scoring.inference_protocol.compression import decompress
from modelport_scoring.inference_protocol.mapping import TensorMapping, map_tensors
from modelport_scoring.inference_protocol.model_config import describe_config
from modelport_scoring.inference_protocol.paths import ALL_MODELS, Place, Target
from modelport_scoring.inference_protocol.protocol import (
    EXTENSIONS,
    Body,
    IndexObject,
    ProtocolError,
    Reply,
    error_reply,
    error_reply_from,
    json_reply,
)
from modelport_scoring.inference_protocol.schemas import NoTensors
from modelport_scoring.inference_protocol.score_input import ScoreInput
from modelport_scoring.inference_protocol.statistics import describe_statistics
from modelport_scoring.telemetry.statistics import RevisionStatistics
from modelport_scoring.version import __version__
from modelport_scoring.workers.contract import ArrayParameter, Contract

SERVER = "modelport"
PLATFORM = "modelport_python"
LONGEST_QUESTION = 4 * 1024
"""Bytes of a body that does not go to a worker."""


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One revision of the service, as clients of the protocol see it."""

    number: str
    is_ready: bool
    """It takes requests."""
    contract: Contract | None
    """What its script takes; None until a worker has told."""


class InferCall:
    """One inference request on its way through ``run``."""

    def __init__(self, request: InferRequest, mapping: TensorMapping, *, model: str, version: str) -> None:
        self.input = ScoreInput(mapping, request.inputs)
        self.request = request
        self._mapping = mapping
        self._model = model
        self.version = version
        """That the answer names."""

    def argument(self, wanted: ArrayParameter | None) -> tuple[bytes | memoryview, bool]:
        """What goes to the worker, and whether that is an array's memory, which its script takes as ``wanted``, and not
        JSON. Raises ProtocolError."""
        array = None
        if wanted is not None:
            array = self.input.array(parameter=wanted.name, type=wanted.type, row=wanted.row)
        return (self.input.body(), False) if array is None else (array, True)

    def reply(self, status: int, payload: bytes) -> Reply:
        """What the client gets for the answer of ``run``, which has that status."""
        if not 200 <= status < 300:
            return error_reply_from(status, payload)
        try:
            outputs = read_answer(payload, self._mapping)
            return encode_response(
                model=self._model,
                version=self.version,
                request=self.request,
                outputs=outputs,
                labels=self._mapping.labels,
            )
        except ProtocolError as error:
            return error_reply(error.status, str(error))


class Endpoint:
    """The protocol's paths of one service, whose name is the model's."""

    def __init__(
        self,
        *,
        model: str,
        versions: Callable[[], Sequence[ServedVersion]],
        statistics: Callable[[], Mapping[str, RevisionStatistics] | None] = lambda: None,
    ) -> None:
        """``versions`` tells what is served at the moment, first the one that serves who asks for none; ``statistics``
        what was counted of each version, None where nothing is counted."""
        self._model = model
        self._versions = versions
        self._statistics = statistics
        self._mappings: dict[str, tuple[Contract, TensorMapping | NoTensors]] = {}

    def screen(self, method: bytes, target: Target) -> Reply | None:
        """The error that the head of a request tells already: a path, model, version or method that there is not."""
        if target.place is Place.UNKNOWN:
            return error_reply(404, target.why)
        if method not in target.methods:
            allow = b"allow: %b\r\n" % b", ".join(target.methods)
            return error_reply(405, f"the method {method.decode('latin-1')} is not allowed here", lines=allow)
        if target.model not in ("", self._model) and not self._asks_for_all(target):
            text = f'Request for unknown model: "{target.model}" is not here; this is the model "{self._model}"'
            return error_reply(404, text)
        if target.version is not None and self._find(target) is None:
            served = ", ".join(version.number for version in self._versions())
            return error_reply(404, f'the model has no version "{target.version}"; served at the moment: {served}')
        return None

    def answer(self, target: Target, body: Body = b"") -> Reply:
        """The answer to anything but an inference request."""
        if target.place is Place.SERVER:
            return json_reply({"name": SERVER, "version": __version__, "extensions": EXTENSIONS})
        if target.place is Place.LIVE:
            return json_reply({"live": True})
        if target.place is Place.STATISTICS or self._asks_for_all(target):
            return self._tell_statistics(target)
        if target.place is Place.INDEX:
            return self._index(body)
        served = self._find(target)
        is_ready = served is not None and served.is_ready
        if target.place is Place.READY:
            return json_reply({"live": True, "ready": is_ready}, status=200 if is_ready else 503)
        if target.place is Place.MODEL_READY:
            return json_reply({"name": self._model, "ready": is_ready}, status=200 if is_ready else 503)
        return self._describe(served, target.place)

    def begin(
        self,
        *,
        version: str,
        contract: Contract,
        body: Body,
        header_length: bytes | None,
        content_encoding: bytes = b"",
        max_body_bytes: int,
    ) -> InferCall:
        """The inference request in a body, for a worker whose script keeps to ``contract``.

        ``header_length`` and ``content_encoding`` are the headers' values; ``max_body_bytes`` bounds a body that is
        compressed. Raises ProtocolError.
        """
        mapping = self._mapping(version, contract)
        body = decompress(body, content_encoding, max_bytes=max_body_bytes)
        length = read_header_length(header_length, body_length=len(body))
        if length == 0:
            leaf = mapping.sole_input()
            request = decode_raw_request(body, leaf, name=mapping.input_names[leaf.path])
        else:
            request = decode_request(body, header_length=length)
        return InferCall(request, mapping, model=self._model, version=version)

    def resume(self, *, version: str, contract: Contract, request: InferRequest) -> InferCall:
        """A request that was read elsewhere, and whose inputs are on their way. Raises ProtocolError."""
        return InferCall(request, self._mapping(version, contract), model=self._model, version=version)

    def _find(self, target: Target) -> ServedVersion | None:
        return next((served for served in self._versions() if target.version in (None, served.number)), None)

    def _asks_for_all(self, target: Target) -> bool:
        """Whether it is ``/v2/models/stats``, and no model has that name."""
        return target == Target(Place.MODEL, ALL_MODELS) and self._model != ALL_MODELS

    def _tell_statistics(self, target: Target) -> Reply:
        counted = self._statistics()
        if counted is None:
            return error_reply(404, "Nothing is counted: telemetry.metrics is false in the service's settings")
        numbers = [served.number for served in self._versions() if target.version in (None, served.number)]
        return json_reply(
            {
                "model_stats": [
                    describe_statistics(counted.get(number) or RevisionStatistics(), model=self._model, version=number)
                    for number in numbers
                ]
            }
        )

    def _index(self, body: Body) -> Reply:
        try:
            asked = msgspec.json.decode(body[:LONGEST_QUESTION], type=IndexObject) if len(body) else IndexObject()
        except (ValueError, RecursionError) as error:
            return error_reply(400, f"the request's JSON does not ask for an index: {error}")
        return json_reply(
            [
                {
                    "name": self._model,
                    "version": served.number,
                    "state": "READY" if served.is_ready else "UNAVAILABLE",
                    "reason": "" if served.is_ready else "no worker takes requests",
                }
                for served in self._versions()
                if served.is_ready or not asked.ready
            ]
        )

    def _describe(self, served: ServedVersion | None, place: Place) -> Reply:
        if served is None or served.contract is None:
            return error_reply(503, f'the model "{self._model}" is not ready: no worker has told yet what it takes')
        try:
            mapping = self._mapping(served.number, served.contract)
        except ProtocolError as error:
            return error_reply(error.status, str(error))
        versions = [version.number for version in self._versions()]
        if place is Place.CONFIGURATION:
            return json_reply(describe_config(mapping, model=self._model, platform=PLATFORM, versions=versions))
        return json_reply(
            {
                "name": self._model,
                "versions": versions,
                "platform": PLATFORM,
                "inputs": mapping.describe_inputs(),
                "outputs": mapping.describe_outputs(),
            }
        )

    def _mapping(self, version: str, contract: Contract) -> TensorMapping:
        """The tensors of a version, worked out when they are first asked for. Raises ProtocolError."""
        known = self._mappings.get(version)
        if known is None or known[0] is not contract:
            served = {found.number for found in self._versions()} | {version}
            self._mappings = {number: kept for number, kept in self._mappings.items() if number in served}
            known = self._mappings[version] = (contract, try_to_map(contract))
        if isinstance(known[1], NoTensors):
            raise ProtocolError(
                f'the model "{self._model}" has no tensors: {known[1]}. Use /score, which serves every script.'
            )
        return known[1]


def try_to_map(contract: Contract) -> TensorMapping | NoTensors:
    """The mapping, or why there is none."""
    try:
        return map_tensors(contract)
    except NoTensors as why:
        return why

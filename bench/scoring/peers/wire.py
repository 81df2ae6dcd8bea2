"""The wire formats that several peers speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.scoring.peers.interface import WireFormat
from bench.scoring.workloads import Answer, Sample, Workload
from bench.scoring.wrk import Call

JSON = ("Content-Type", "application/json")
BYTES = ("Content-Type", "application/octet-stream")
INPUT = "input"


@dataclass(frozen=True, kw_only=True)
class PlainJson:
    """``{"data": [[…], …]}``, answered with a list, or an object of one list; bytes go as they are."""

    path: str = "/score"
    key: str = "data"

    def call(self, workload: Workload, sample: Sample) -> Call:
        if sample.binary is not None:
            return Call(path=self.path, body=sample.binary, headers=(BYTES,))
        return Call(path=self.path, body=json.dumps({self.key: sample.rows}).encode(), headers=(JSON,))

    def read(self, workload: Workload, body: bytes) -> Answer:
        return body if workload.body_bytes is not None else list(numbers(json.loads(body)))


@dataclass(frozen=True, kw_only=True)
class OpenInference:
    """The Open Inference Protocol: one tensor of FP64 named ``input`` in JSON, answered with one."""

    model: str = "model"
    datatype: str = "FP64"

    def call(self, workload: Workload, sample: Sample) -> Call:
        tensor = {
            "name": INPUT,
            "shape": [len(sample.rows), len(sample.rows[0])],
            "datatype": self.datatype,
            "data": [number for row in sample.rows for number in row],
        }
        return Call(path=infer_path(self.model), body=json.dumps({"inputs": [tensor]}).encode(), headers=(JSON,))

    def read(self, workload: Workload, body: bytes) -> Answer:
        return list(numbers(json.loads(body)["outputs"][0]["data"]))


@dataclass(frozen=True, kw_only=True)
class BinaryTensor:
    """The same protocol with its binary extension: the bytes follow the JSON, as one tensor of UINT8."""

    model: str = "model"

    def call(self, workload: Workload, sample: Sample) -> Call:
        data = sample.binary or b""
        tensor = {
            "name": INPUT,
            "shape": [1, len(data)],
            "datatype": "UINT8",
            "parameters": {"binary_data_size": len(data)},
        }
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = (BYTES, ("Inference-Header-Content-Length", str(len(head))))
        return Call(path=infer_path(self.model), body=head + data, headers=headers)

    def read(self, workload: Workload, body: bytes) -> Answer:
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        return body[end:]


@dataclass(frozen=True, kw_only=True)
class ByWorkload:
    """One format for bytes, another one for numbers."""

    binary: WireFormat
    numeric: WireFormat

    def call(self, workload: Workload, sample: Sample) -> Call:
        return self._of(workload).call(workload, sample)

    def read(self, workload: Workload, body: bytes) -> Answer:
        return self._of(workload).read(workload, body)

    def _of(self, workload: Workload) -> WireFormat:
        return self.binary if workload.body_bytes is not None else self.numeric


def infer_path(model: str) -> str:
    return f"/v2/models/{model}/infer"


def numbers(value: Any) -> Iterator[float]:
    """All numbers in it, in their order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    else:
        yield float(value)

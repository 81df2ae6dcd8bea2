"""A worker that misbehaves as told.

The interpreter of a test's revision is ``python fake_worker.py``, so the path of the real worker comes as an argument
and is not looked at; the "entry script" holds the name of the behaviour.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from modelport_worker import frames
from modelport_worker.frames import (
    CHUNK,
    FAILED,
    HEADER,
    HEADER_SIZE,
    LAST,
    MEMORY_SIZE,
    MORE,
    PHASE,
    READY,
    RESULT,
    RETURNED,
    SCORE,
    STARTED,
    pack,
)

CONTRACT = {"python": "3.11", "pid": os.getpid(), "init_ms": 1.0, "input": "text", "parameters": [], "schemas": {}}


class FakeWorker:
    def __init__(self, channel: socket.socket, page: mmap.mmap) -> None:
        self.channel = channel
        self.stream = channel.makefile("rb")
        self.page = page

    def send(self, frame: bytes) -> None:
        self.channel.sendall(frame)

    def become_ready(self, **contract: object) -> None:
        for phase in (b"import", b"init", b"schema"):
            self.send(pack(0, PHASE, phase))
        self.send(pack(0, READY, json.dumps({**CONTRACT, **contract}).encode()))

    def receive(self) -> tuple[int, int, bytes, bytes]:
        """Id, kind, meta and payload of the next frame; exits where there is none."""
        head = self.stream.read(HEADER_SIZE)
        if len(head) < HEADER_SIZE:
            sys.exit(0)
        request_id, payload_size, meta_size, _, _, kind, _ = HEADER.unpack(head)
        if kind != SCORE:
            sys.exit(0)
        return request_id, kind, self.stream.read(meta_size), self.stream.read(payload_size)

    def start_request(self, request_id: int) -> None:
        STARTED.pack_into(self.page, 0, request_id, request_id)

    def serve(self, answer: Callable[[int, bytes], bytes]) -> None:
        while True:
            request_id, _, _, payload = self.receive()
            self.start_request(request_id)
            self.send(answer(request_id, payload))


def result(request_id: int, payload: bytes, *, meta: bytes = b"", code: int = 200, micros: int = 10) -> bytes:
    return pack(request_id, RESULT, payload, meta=meta, flags=RETURNED, code=code, micros=micros)


def echo(worker: FakeWorker) -> None:
    worker.become_ready()
    worker.serve(result)


def garbage(worker: FakeWorker) -> None:
    """Answers ``garbage`` with bytes that are no frame, anything else as it should."""
    worker.become_ready()
    worker.serve(lambda number, payload: b"\xff" * 64 if payload == b"garbage" else result(number, payload))


def wrong_id(worker: FakeWorker) -> None:
    worker.become_ready()
    worker.serve(
        lambda number, payload: result(number + 7, payload) if payload == b"wrong" else result(number, payload)
    )


def odd_payloads(worker: FakeWorker) -> None:
    """Answers with the payload and the flags that it is asked for: ``<flags> <payload in hexadecimal digits>``."""
    worker.become_ready()

    def answer(number: int, payload: bytes) -> bytes:
        flags, digits = payload.decode().split(" ")
        return pack(number, RESULT, bytes.fromhex(digits), flags=RETURNED | int(flags), code=200, micros=10)

    worker.serve(answer)


def out_of_turn(worker: FakeWorker) -> None:
    """Answers ``end`` with the end of a body that has not begun, ``twice`` with a body that begins and a whole one."""
    worker.become_ready()

    def answer(number: int, payload: bytes) -> bytes:
        if payload == b"end":
            return pack(number, CHUNK, b"", flags=LAST)
        begins = pack(number, RESULT, b"", flags=RETURNED | MORE, code=200) if payload == b"twice" else b""
        return begins + result(number, payload)

    worker.serve(answer)


def obeys(worker: FakeWorker) -> None:
    """Runs the body of a request that is a program, which has ``worker``, ``number``, all of this module and of
    ``frames``; answers another one as it should."""
    worker.become_ready()

    def answer(number: int, payload: bytes) -> bytes:
        if not payload.startswith(b"#!"):
            return result(number, payload)
        exec(payload, {**vars(frames), **globals(), "worker": worker, "number": number})
        return b""

    worker.serve(answer)


def raw_headers(worker: FakeWorker) -> None:
    """Sends the body it got as the ``meta`` of its answer."""
    worker.become_ready()
    worker.serve(lambda number, payload: result(number, b"body", meta=payload))


def any_status(worker: FakeWorker) -> None:
    worker.become_ready()
    worker.serve(lambda number, payload: result(number, b"body", code=int(payload)))


def silent_in_init(worker: FakeWorker) -> None:
    worker.send(pack(0, PHASE, b"import") + pack(0, PHASE, b"init"))
    time.sleep(600)


def exits_in_import(worker: FakeWorker) -> None:
    worker.send(pack(0, PHASE, b"import"))
    os._exit(7)


def killed_in_init(worker: FakeWorker) -> None:
    worker.send(pack(0, PHASE, b"init"))
    os.kill(os.getpid(), signal.SIGKILL)


def fails_in_schema(worker: FakeWorker) -> None:
    report = {"phase": "schema", "type": "TypeError", "message": "no schema", "traceback": "Traceback: line 3"}
    worker.send(pack(0, PHASE, b"schema") + pack(0, FAILED, json.dumps(report).encode()))
    sys.exit(3)


def garbage_at_start(worker: FakeWorker) -> None:
    worker.send(pack(0, READY, b"not json"))
    time.sleep(600)


def no_text_at_start(worker: FakeWorker) -> None:
    worker.send(pack(0, READY, b'{"input": "text", "python": "\xff"}'))
    time.sleep(600)


def lists_without_end_at_start(worker: FakeWorker) -> None:
    worker.send(pack(0, READY, b'{"input": "text", "schemas": {"2.0": {"input": ' + b"[" * 100_000))
    time.sleep(600)


def dies_without_starting(worker: FakeWorker) -> None:
    """Ends when a request comes, before it begins with it."""
    worker.become_ready()
    worker.receive()
    os._exit(9)


def poison_holds_back(worker: FakeWorker) -> None:
    """Reads four requests and begins with the second one, having answered none; then it dies. The next life is good.
    The first request may have had an effect, and its answer is lost like the second one's."""
    marker = Path("poisoned")
    worker.become_ready()
    if marker.exists():
        worker.serve(result)
    for _ in range(64):  # so that more than one frame is let through
        number, _, _, payload = worker.receive()
        worker.start_request(number)
        worker.send(result(number, payload, micros=1))
    held = [worker.receive()[0] for _ in range(4)]
    worker.start_request(held[1])
    marker.touch()
    os._exit(1)


def forks_and_dies(worker: FakeWorker) -> None:
    """Its child inherits the socket, so that it does not close with the worker."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    Path(f"child-of-{os.getpid()}").write_text(str(child))
    worker.become_ready()
    number, _, _, _ = worker.receive()
    worker.start_request(number)
    os._exit(1)


BEHAVIOURS: dict[str, Callable[[FakeWorker], None]] = {
    function.__name__: function
    for function in (
        echo,
        odd_payloads,
        garbage,
        wrong_id,
        out_of_turn,
        obeys,
        raw_headers,
        any_status,
        silent_in_init,
        exits_in_import,
        killed_in_init,
        fails_in_schema,
        garbage_at_start,
        no_text_at_start,
        lists_without_end_at_start,
        dies_without_starting,
        poison_holds_back,
        forks_and_dies,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--page", type=int, required=True)
    parser.add_argument("--azureml", required=True)
    arguments = parser.parse_args()
    behaviour = BEHAVIOURS[Path(os.environ["AZUREML_ENTRY_SCRIPT"]).read_text().strip()]
    behaviour(FakeWorker(socket.socket(fileno=arguments.socket), mmap.mmap(arguments.page, MEMORY_SIZE)))


if __name__ == "__main__":
    main()

"""The control plane's side of the control socket: blocking, one connection a request."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from modelport_scoring.control.messages import MOST_LINE_BYTES, Answer, Command
from modelport_scoring.errors import RequestRefused, ServiceNotRunning, SwitchFailed, SwitchInProgress
from modelport_scoring.service_folder import CONTROL
from modelport_scoring.settings.service import (
    AuthSettings,
    Autoscale,
    Batching,
    Changes,
    ErrorMode,
    Limits,
    RevisionSettings,
    RevisionSize,
    ServiceSettings,
    WorkerStart,
)
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.settings.traffic import Traffic
from modelport_scoring.status import Status

ANSWER_PATIENCE_S = 10.0
ROOM_POLL_S = 0.01
NOTHING = Changes()

Message = TypeVar("Message", Status, Answer)


class ControlClient:
    """Speaks with the scoring server of one service's folder. Every method raises ServiceNotRunning where nobody
    answers."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)

    def status(self) -> Status:
        """How the service is at this moment."""
        return self._decode(self._ask(Command(do="status"), patience_s=ANSWER_PATIENCE_S), Status)

    def switch(
        self,
        revision: RevisionSettings,
        *,
        replacing: int | None = None,
        changes: Changes = NOTHING,
        patience_s: float | None = None,
    ) -> int:
        """Start the revision beside the active one, or the hosted one that it is ``replacing``, and hand its requests
        and its share over, with other settings of the service where ``changes`` has any; returns its number.

        Returns when that is done: limits.start_timeout_s bounds it, and ``patience_s`` where it is given; if that runs
        out (ServiceNotRunning), the switch goes on. Raises SwitchFailed, SwitchInProgress and RequestRefused; then the
        active revision goes on untouched, with the old settings.
        """
        command = Command(do="switch", revision=revision, replacing=replacing, settings=changes)
        self._expect_done(self._do(command, patience_s=patience_s))
        return revision.number

    def host(self, revision: RevisionSettings, *, patience_s: float | None = None) -> None:
        """Start one more revision beside the active one; it gets no requests before ``split`` gives it a share, or a
        client asks for it. Returns, and raises, as ``switch`` does, and RequestRefused where there are six already."""
        self._expect_done(self._do(Command(do="host", revision=revision), patience_s=patience_s))

    def release(self, number: int, *, patience_s: float | None = None) -> None:
        """Take a hosted revision its share, have it finish what it holds, and end it; returns when it has ended.

        Raises RequestRefused, for the active one too, and SwitchInProgress."""
        self._expect_done(self._do(Command(do="release", revision=number), patience_s=patience_s))

    def promote(self, number: int) -> None:
        """Make a hosted revision the active one. The active one stays beside it, without a share.

        Raises RequestRefused, also where it has no ready worker, and SwitchInProgress."""
        self._expect_done(self._do(Command(do="promote", revision=number), patience_s=ANSWER_PATIENCE_S))

    def split(self, traffic: Traffic) -> None:
        """Divide requests so from now on. Raises RequestRefused, and nothing is changed."""
        self._expect_done(self._do(Command(do="split", traffic=traffic), patience_s=ANSWER_PATIENCE_S))

    def scale(self, number: int, *, workers: int | None = None, autoscale: Autoscale | None = None) -> None:
        """Give a revision, the active one too, workers of its own number; as many as the service says where neither is
        given. Workers that are added are not waited for. Raises RequestRefused, and nothing is changed."""
        size = RevisionSize(workers=workers, autoscale=autoscale)
        self._expect_ok(self._do(Command(do="scale", revision=number, size=size), patience_s=ANSWER_PATIENCE_S))

    def configure(
        self,
        *,
        auth: AuthSettings | UnsetType = UNSET,
        limits: Limits | UnsetType = UNSET,
        error_mode: ErrorMode | UnsetType = UNSET,
        workers: int | UnsetType = UNSET,
        autoscale: Autoscale | UnsetType | None = UNSET,
        worker_start: WorkerStart | UnsetType = UNSET,
        warm_up: bool | UnsetType = UNSET,
        batching: Batching | UnsetType | None = UNSET,
        cors_origins: list[str] | UnsetType = UNSET,
        telemetry: TelemetrySettings | UnsetType = UNSET,
        patience_s: float | None = None,
    ) -> None:
        """Replace what is given; ``autoscale`` and ``batching`` None: off. Returns, and raises, as ``change`` does."""
        changes = Changes(
            auth=auth,
            limits=limits,
            error_mode=error_mode,
            workers=workers,
            autoscale=autoscale,
            worker_start=worker_start,
            warm_up=warm_up,
            batching=batching,
            cors_origins=cors_origins,
            telemetry=telemetry,
        )
        self.change(changes, patience_s=patience_s)

    def change(self, changes: Changes, *, patience_s: float | None = None) -> None:
        """Replace the settings that are given, without a restart.

        Workers that are added are not waited for. Where workers have to be others (another ``worker_start``,
        ``warm_up`` or ``batching``), new ones of all revisions come up beside the old ones and take over: that is
        waited for, as ``switch`` does, and SwitchFailed and SwitchInProgress are raised as there. Raises
        RequestRefused, and nothing is changed.
        """
        if patience_s is None and not changes.may_renew_workers:
            patience_s = ANSWER_PATIENCE_S
        self._expect_done(self._do(Command(do="configure", settings=changes), patience_s=patience_s))

    def apply(self, settings: ServiceSettings, *, patience_s: float | None = None) -> list[str]:
        """Have all of these in force at once: revisions, traffic, and everything that ``change`` changes. Returns the
        names of what differs and stays as it is until the service is started again.

        Returns when that is done, and raises, as ``switch`` does.
        """
        answer = self._do(Command(do="apply", whole=settings), patience_s=patience_s)
        self._expect_done(answer)
        return answer.kept

    def stop(self) -> None:
        """Have the service finish what it holds and end; returns when it has begun to."""
        self._expect_ok(self._do(Command(do="stop"), patience_s=ANSWER_PATIENCE_S))

    def _do(self, command: Command, *, patience_s: float | None) -> Answer:
        return self._decode(self._ask(command, patience_s=patience_s), Answer)

    def _expect_done(self, answer: Answer) -> None:
        if answer.failure is not None:
            raise SwitchFailed(answer.failure)
        if answer.busy:
            raise SwitchInProgress(answer.message or "another switch has not ended yet")
        self._expect_ok(answer)

    def _expect_ok(self, answer: Answer) -> None:
        if not answer.ok:
            raise RequestRefused(answer.message or "the scoring server refused without a reason")

    def _decode(self, line: bytes, kind: type[Message]) -> Message:
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.MsgspecError as error:
            raise ServiceNotRunning(f"{self._folder}: the scoring server closed without an answer") from error

    def _ask(self, command: Command, *, patience_s: float | None) -> bytes:
        line = msgspec.json.encode(command) + b"\n"
        if len(line) > MOST_LINE_BYTES:
            text = f"'{command.do}' has {len(line)} bytes; a scoring server reads {MOST_LINE_BYTES} at most"
            raise RequestRefused(f"{text}: give it less, in its environment variables for example")
        try:
            with connect(self._folder, patience_s=patience_s) as channel:
                channel.sendall(line)
                with channel.makefile("rb") as answers:
                    return answers.readline(MOST_LINE_BYTES)
        except OSError as error:
            raise ServiceNotRunning(f"{self._folder}: nobody answers on {CONTROL} ({error})") from error


def connect(folder: Path, *, patience_s: float | None) -> socket.socket:
    """A connection to the folder's control socket. Raises OSError.

    A socket's path may have 107 bytes, a folder's more: it is reached through a descriptor of the folder.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(patience_s)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connect_when_there_is_room(channel, f"/proc/self/fd/{descriptor}/{CONTROL}", patience_s=patience_s)
        finally:
            os.close(descriptor)
    except BaseException:
        channel.close()
        raise
    return channel


def connect_when_there_is_room(channel: socket.socket, path: str, *, patience_s: float | None) -> None:
    """Raises OSError. A local socket that so many wait at already refuses the next one at once, unlike one of TCP."""
    deadline = time.monotonic() + (patience_s or 0.0)
    while True:
        try:
            channel.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(ROOM_POLL_S)

"""The life of a submitted run: its environment, its script, and what is kept of both. Its driver runs this."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from azureml._runs import ownership, statuses
from azureml._runs.files import KEPT, WORK
from azureml._runs.folder import RunFolder, mark_of
from azureml._runs.waiting import BUILD_LOG, DRIVER_LOG
from modelport.domain.environments import Interpreter
from modelport.domain.errors import ModelportError, UserErrorException
from modelport.environments.interface import Environments
from modelport.usecases.script_environment import script_command, script_environment
from modelport.usecases.script_inputs import FOLDER as INPUTS
from modelport.usecases.script_inputs import lay_inputs
from modelport.usecases.snapshots import lay_out
from modelport.usecases.submission import Submission

_END_S = 10.0
"""How long a script that is cancelled may take to end before it is killed."""
_TAIL = 64 * 1024

_PR_SET_PDEATHSIG = 1


class _Cancelled(BaseException):
    """Somebody asked for the end of the run."""


def drive(run: RunFolder, environments: Environments) -> None:
    """Run it to its end, whatever that is: afterwards ``run.json`` says how it ended, and why."""
    signal.signal(signal.SIGTERM, _cancel)
    try:
        if run.document.read()["status"] == statuses.CANCEL_REQUESTED:
            raise _Cancelled
        status, error = _run(run, environments)
    except _Cancelled:
        status, error = statuses.CANCELED, None
    except ModelportError as failure:
        status, error = statuses.FAILED, {"code": "UserError", "message": failure.text}
    except Exception as failure:
        status, error = statuses.FAILED, {"code": "SystemError", "message": f"{type(failure).__name__}: {failure}"}
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _finish(run)
    run.end(status, error)


def _cancel(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Cancelled


def _run(run: RunFolder, environments: Environments) -> tuple[str, dict[str, Any] | None]:
    folder = Path(run.path)
    submission = Submission.read(folder)
    run.enter(statuses.PREPARING)
    interpreter = _interpreter(run, submission, environments)
    work = folder / WORK
    lay_out(Path(run.workspace_folder), submission.snapshot, work)
    for name in KEPT:
        (work / name).mkdir(exist_ok=True)
    inputs = lay_inputs(submission.inputs, run=folder, work=work)
    run.enter(statuses.STARTING)
    command = script_command(submission, interpreter, inputs)
    environ = script_environment(run, submission, interpreter, inputs)
    code = _run_script(run, command, environ, work, longest_s=submission.longest_s)
    return _how_it_ended(run, code)


def _interpreter(run: RunFolder, submission: Submission, environments: Environments) -> Interpreter:
    log = _BuildLog(Path(run.files.reserve(BUILD_LOG)))
    for note in submission.notes:
        log.step(note)
    try:
        lock = environments.resolve(submission.environment, progress=log)
        for note in lock.notes:
            log.step(note)
        interpreter = environments.materialise(lock, progress=log)
    except ModelportError as error:
        log.step(error.text)
        raise
    log.step(f"The script runs in {' '.join(interpreter.command)}")
    return interpreter


class _BuildLog:
    """A ``Progress`` that is a log of the run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def step(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def amount(self, label: str, done: int, total: int) -> None:
        return None


def _run_script(
    run: RunFolder, command: list[str], environ: Mapping[str, str], work: Path, *, longest_s: float | None
) -> int:
    """Its exit status. Raises _Cancelled, and UserErrorException where it takes too long, after its processes ended."""
    with Path(run.files.reserve(DRIVER_LOG)).open("ab") as log:
        script = subprocess.Popen(
            command,
            cwd=work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=_die_with_driver,
        )
    run.enter(statuses.RUNNING)
    try:
        return script.wait(longest_s)
    except subprocess.TimeoutExpired as error:
        raise UserErrorException(f"The script ran longer than max_run_duration_seconds: {longest_s:g} s.") from error
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(run, script)


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_driver() -> None:
    """In the script's process before it is the script: nobody would end it if the driver were killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(run: RunFolder, script: subprocess.Popen[bytes]) -> None:
    """End the script, where it has not ended, and every process that it left behind."""
    if script.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGTERM)
        try:
            script.wait(_END_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)
            script.wait()
    ownership.end_left_behind(os.getsid(0), mark_of(run.path))


def _how_it_ended(run: RunFolder, code: int) -> tuple[str, dict[str, Any] | None]:
    """By the exit status, and by what the script itself said with ``run.complete`` or ``run.fail``."""
    content = run.document.read()
    if content["status"] == statuses.CANCEL_REQUESTED:
        return statuses.CANCELED, None
    if code != 0:
        return statuses.FAILED, {"code": "UserError", "message": _complaint(run, code)}
    said = content["said"]
    if said is not None and said["status"] == statuses.FAILED:
        return statuses.FAILED, said["error"]
    return statuses.COMPLETED, None


def _complaint(run: RunFolder, code: int) -> str:
    """With the exception that ended the script, where what it printed has a traceback, as v1 gave it."""
    ended = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"its exit status is {code}"
    exception = _last_exception(_last_lines(Path(run.files.reserve(DRIVER_LOG))))
    failed = f"User program failed with {exception}" if exception else "User program failed"
    return f"{failed} ({ended}; what it printed is in {DRIVER_LOG})"


def _last_exception(lines: list[str]) -> str | None:
    """The line after the indented ones of the last traceback."""
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    after = lines[starts[-1] + 1 :] if starts else []
    return next((line.strip() for line in after if line[:1].strip()), None)


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        return file.read().decode(errors="replace").splitlines()


def _finish(run: RunFolder) -> None:
    """Keep what the script has written, and remove its working directory; where it cannot be kept, it stays there."""
    run.enter(statuses.FINALIZING)
    folder = Path(run.path)
    removed = [folder / "python", *(folder / INPUTS).glob("*")]
    try:
        run.files.keep_written(str(folder / WORK), move=True)
        removed.append(folder / WORK)
    except OSError as error:
        warning = f"Not everything could be kept ({error}): what the script wrote is in {folder / WORK}."
        run.change(lambda content: content["warnings"].append(warning))
    for path in removed:
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)

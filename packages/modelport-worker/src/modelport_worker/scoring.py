"""The loop that answers requests. Whatever stands here runs once for each of them."""

import os
import time
import traceback
from typing import NoReturn

from modelport_worker.answers import Answer, answer_of, rejection
from modelport_worker.arguments import Rejected
from modelport_worker.failures import format_exception, text_of
from modelport_worker.frames import RAISED, RETURNED, RUN_FAILED, SCORE, STOP, UNSERIALIZABLE
from modelport_worker.link import Frame, Link
from modelport_worker.service import Service
from modelport_worker.streams import log

clock = time.perf_counter

LONGEST_MICROS = 0xFFFFFFFF
"""What a frame can tell: a ``run`` of more than 71 minutes counts as one of 71."""


def serve(link: Link, service: Service) -> None:
    """Answer requests in their order, until STOP or SIGTERM. Raises LinkClosed, Terminated and ScriptLeft."""
    while not link.terminating:
        frame = link.take()
        if frame is None:
            link.wait()
        elif frame.kind == SCORE:
            score(link, service, frame)
        elif frame.kind == STOP:
            break
        else:
            raise ValueError("the server sent a frame of unknown kind {}".format(frame.kind))
    link.flush()


def score(link: Link, service: Service, frame: Frame) -> None:
    """Run the user's code for one request and answer it."""
    link.mark_started(frame.id)
    answer = None
    started = finished = clock()
    try:
        arguments = service.arguments(frame)
        started = clock()
        value = service.script.run(**arguments)
        finished = clock()
    except Rejected as rejected:
        answer = rejection(str(rejected))
        finished = started
    except SystemExit:
        leave(link, frame)
    except BaseException as error:  # KeyboardInterrupt and asyncio's CancelledError are the script's own here
        finished = clock()
        answer = report_raised(frame, error)
    if link.closed:
        os._exit(0)  # run() forked, and this is the child coming back: the parent answers
    if answer is None:
        answer = encode(frame, value)
    micros = min(int((finished - started) * 1e6), LONGEST_MICROS)
    link.answer(frame.id, *answer, micros, finished)


def leave(link: Link, frame: Frame) -> NoReturn:
    """The script ends the process: what was answered before goes out, this request is lost."""
    if not link.closed:
        link.flush()
        log("run() ended the process itself, by sys.exit, at request {}.".format(frame.id))
    raise


def report_raised(frame: Frame, error: BaseException) -> Answer:
    log("run() raised at request {}.\n{}".format(frame.id, format_exception(error)))
    return Answer(500, RAISED | RUN_FAILED, text_of(error).encode("utf-8", "backslashreplace"), b"")


def encode(frame: Frame, value: object) -> Answer:
    try:
        return answer_of(value)
    except Exception:
        trace = traceback.format_exc()
        log("What run() returned at request {} cannot be sent.\n{}".format(frame.id, trace))
        return Answer(500, RETURNED | UNSERIALIZABLE, trace.encode("utf-8", "backslashreplace"), b"")

"""The loop that answers requests. Whatever stands here runs once for each of them."""

import os
import time
import traceback
from typing import List, NoReturn, Optional, Tuple

from modelport_worker.answers import Answer, answer_of, rejection
from modelport_worker.arguments import Rejected
from modelport_worker.batching import Batcher, Mixed, may_join
from modelport_worker.bodies import Body, Piece, ScriptFailed
from modelport_worker.failures import format_exception, text_of
from modelport_worker.frames import (
    BROKEN,
    LAST,
    MORE,
    RAISED,
    REDONE,
    RETURNED,
    RUN_FAILED,
    SCORE,
    STOP,
    STOPPED,
    UNSERIALIZABLE,
)
from modelport_worker.link import Frame, Link
from modelport_worker.service import Service
from modelport_worker.streams import log
from modelport_worker.unserialisable import complaint

clock = time.perf_counter

LONGEST_MICROS = 0xFFFFFFFF
"""What a frame can tell: a ``run`` of more than 71 minutes counts as one of 71."""


def serve(link: Link, service: Service) -> None:
    """Answer requests in their order, until STOP or SIGTERM. Raises LinkClosed, Terminated and ScriptLeft."""
    batcher = service.batcher
    next_frame: Optional[Frame] = None
    while not link.terminating:
        frame, next_frame = next_frame or link.take(), None
        if frame is None:
            link.wait()
        elif frame.kind != SCORE:
            if frame.kind == STOP:
                break
            raise ValueError("the server sent a frame of unknown kind {}".format(frame.kind))
        elif batcher is None:
            score(link, service, frame)
        elif not may_join(frame):
            link.flush()  # a worker has died of this request, or of one beside it: answers must not go the same way
            score(link, service, frame)
        else:
            frames, next_frame = gather(link, batcher, frame)
            score_together(link, service, batcher, frames)
            if batcher.is_hopeless:
                batcher = None
    link.flush()


def gather(link: Link, batcher: Batcher, first: Frame) -> Tuple[List[Frame], Optional[Frame]]:
    """The requests that have come and can be joined with the first one, and a frame behind them that cannot."""
    frames = [first]
    until = clock() + batcher.wait_s
    while len(frames) < batcher.most:
        frame = link.take()
        if frame is None:
            if not link.receive_more(max(until - clock(), 0.0) if batcher.wait_s else 0.0):
                break
        elif frame.kind == SCORE and frame.flags == first.flags:  # arrays with arrays, bodies with bodies
            frames.append(frame)
        else:
            return frames, frame
    return frames, None


def score_together(link: Link, service: Service, batcher: Batcher, frames: List[Frame]) -> None:
    """Run the user's code once for all the requests, or, where that cannot be done, once for each."""
    if len(frames) == 1:
        score(link, service, frames[0])
        return
    try:
        group = batcher.join(frames)
        link.flush()  # what was answered before is not lost, should these bring the process down
        link.mark_started(frames[0].id, frames[-1].id)
        started = clock()
        value = batcher.run(group.argument)
        finished = clock()
        parts = batcher.split(value, group.counts)
    except Mixed as mixed:
        reason = str(mixed)
    except SystemExit:
        leave(link, frames[0])
    except BaseException as error:
        reason = "{} raised {}".format(batcher.function, type(error).__name__)
    else:
        reason = "what {} returned has no member for each {}".format(batcher.function, batcher.part)
        if parts is not None and not link.closed:
            micros = as_micros(finished - started)
            link.announce_batch(len(frames), 0, micros, b"", finished)
            texts = batcher.encode_at_once(value, group.counts)
            if texts is not None:
                for frame, text in zip(frames, texts):
                    link.answer(frame, 200, RETURNED, text, b"", micros, finished)
            else:
                for frame, part in zip(frames, parts):
                    link.answer(frame, *encode(frame, part)[:4], micros, finished)
            return
    if link.closed:
        os._exit(0)  # run() forked, and this is the child coming back: the parent answers
    flags = REDONE | (STOPPED if batcher.is_hopeless else 0)
    link.announce_batch(len(frames), flags, 0, reason.encode("utf-8", "backslashreplace"), clock())
    for frame in frames:
        score(link, service, frame)


def score(link: Link, service: Service, frame: Frame) -> None:
    """Run the user's code for one request and answer it."""
    link.mark_started(frame.id, frame.id)
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
    micros = as_micros(finished - started)
    if answer.chunks is None:
        link.answer(frame, *answer[:4], micros, finished)
    else:
        stream(link, frame, answer, micros)


def as_micros(seconds: float) -> int:
    return min(int(seconds * 1e6), LONGEST_MICROS)


def stream(link: Link, frame: Frame, answer: Answer, micros: int) -> None:
    """Send a body while it is made. Where it cannot even begin, that is an error like any other."""
    body = Body(answer.chunks)
    try:
        first = body.next_piece()
        if link.closed:
            os._exit(0)  # what makes the body forked
        if first is None:
            link.answer(frame, *answer[:4], micros, clock())
        else:
            link.answer(frame, answer.code, answer.flags | MORE, b"", answer.meta, micros, clock())
            link.send_chunk(frame.id, b"", LAST if send_pieces(link, frame, body, first) else LAST | BROKEN)
    except ScriptFailed as failed:
        link.answer(frame, *report_raised(frame, failed.error)[:4], micros, clock())
    except SystemExit:
        leave(link, frame)
    finally:
        body.close()


def send_pieces(link: Link, frame: Frame, body: Body, piece: Optional[Piece]) -> bool:
    """Send the piece and all that follow it, until nobody wants them any more. Whether the script did its part."""
    try:
        while piece is not None and not link.is_cancelled(frame.id):
            link.send_chunk(frame.id, piece)
            piece = body.next_piece()
            if link.closed:
                os._exit(0)
        return True
    except ScriptFailed as failed:
        trace = format_exception(failed.error)
        log("The body of the answer to request {} could not be made to its end.\n{}".format(frame.id, trace))
        return False


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
    except Exception as error:
        text = "{}\n{}".format(complaint(value, error), traceback.format_exc())
        log("At request {}: {}".format(frame.id, text))
        return Answer(500, RETURNED | UNSERIALIZABLE, text.encode("utf-8", "backslashreplace"), b"")

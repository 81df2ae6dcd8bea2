"""The loop that answers requests. Whatever stands here runs once for each of them."""

import os
import time
import traceback
from typing import Any, List, NoReturn, Optional, Sequence, Tuple

from modelport_worker.answers import Answer, answer_of, rejection
from modelport_worker.arguments import Rejected
from modelport_worker.batching import Batcher, Mixed, Requests, may_join, one_by_one
from modelport_worker.bodies import Body, Piece, ScriptFailed
from modelport_worker.failures import format_exception, text_of
from modelport_worker.frames import (
    ARRAY,
    BROKEN,
    LAST,
    MORE,
    NUMBERS,
    RAISED,
    REDONE,
    RETURNED,
    RUN_FAILED,
    SCORE,
    SCORES,
    STOP,
    STOPPED,
    UNSERIALIZABLE,
)
from modelport_worker.link import LARGE_PAYLOAD, Frame, Link
from modelport_worker.service import Service
from modelport_worker.streams import log
from modelport_worker.unserialisable import complaint

clock = time.perf_counter

SCORING = frozenset((SCORE, SCORES))

LONGEST_MICROS = 0xFFFFFFFF
"""What a frame can tell: a ``run`` of more than 71 minutes counts as one of 71."""


def serve(link: Link, service: Service) -> None:
    """Answer requests in their order, until STOP or SIGTERM. Raises LinkClosed, Terminated and ScriptLeft."""
    batcher = service.batcher
    following: Optional[Requests] = None
    while not link.terminating:
        requests = None  # or the last body would be there until the next one is
        requests, following = following or link.take(), None
        if requests is None:
            link.wait()
        elif requests.kind not in SCORING:
            if requests.kind == STOP:
                break
            raise ValueError("the server sent a frame of unknown kind {}".format(requests.kind))
        elif batcher is None:
            score_each(link, service, requests)
        elif not may_join(requests):
            link.flush()  # a worker has died of this request, or of one beside it: answers must not go the same way
            score_each(link, service, requests)
        else:
            gathered, following = gather(link, batcher, requests)
            score_together(link, service, batcher, gathered)
            if batcher.is_hopeless:
                batcher = None
    link.flush()


def gather(link: Link, batcher: Batcher, first: Requests) -> Tuple[List[Requests], Optional[Requests]]:
    """The requests that have come and can be joined with the first ones, and what came behind them that cannot."""
    gathered, count = [first], len(first.sizes)
    until = clock() + batcher.wait_s
    while count < batcher.most:
        requests = link.take()
        if requests is None:
            if not link.receive_more(max(until - clock(), 0.0) if batcher.wait_s else 0.0):
                break
        elif (
            requests.kind in SCORING
            and requests.flags == first.flags  # arrays with arrays, bodies with bodies
            and count + len(requests.sizes) <= batcher.most
        ):
            gathered.append(requests)
            count += len(requests.sizes)
        else:
            return gathered, requests
    return gathered, None


def score_each(link: Link, service: Service, requests: Requests) -> None:
    """Run the user's code for each of the requests, until the worker is told to end."""
    if isinstance(requests, Frame):
        score(link, service, requests)
        return
    for frame in requests.frames():
        if link.terminating:
            break
        score(link, service, frame)


def score_together(link: Link, service: Service, batcher: Batcher, gathered: Sequence[Requests]) -> None:
    """Run the user's code once for all the requests, or, where that cannot be done, once for each."""
    first, last = gathered[0], gathered[-1]
    if isinstance(last, Frame) and last is first:
        link.flush()  # what was answered together does not wait for this one
        score(link, service, last)
        return
    try:
        group = batcher.join(gathered)
        link.flush()  # what was answered before is not lost, should these bring the process down
        link.mark_started(first.id, last.id + len(last.sizes) - 1)
        started = clock()
        value = group.run(group.argument)
        finished = clock()
        splits = batcher.can_split(value, group.counts)
    except Mixed as mixed:
        reason = str(mixed)
    except SystemExit:
        leave(link, first)
    except BaseException as error:
        reason = "{} raised {}".format(batcher.function, type(error).__name__)
    else:
        reason = "what {} returned has no member for each {}".format(batcher.function, batcher.part)
        if splits and not link.closed:
            answer_together(link, batcher, gathered, value, group.counts, as_micros(finished - started), finished)
            return
    if link.closed:
        os._exit(0)  # run() forked, and this is the child coming back: the parent answers
    flags = REDONE | (STOPPED if batcher.is_hopeless else 0)
    count = sum(len(requests.sizes) for requests in gathered)
    link.announce_batch(count, flags, 0, reason.encode("utf-8", "backslashreplace"), clock())
    for frame in one_by_one(gathered):
        if link.terminating:
            break
        score(link, service, frame)


def answer_together(
    link: Link,
    batcher: Batcher,
    gathered: Sequence[Requests],
    value: Any,
    counts: List[int],
    micros: int,
    finished: float,
) -> None:
    """Give each of the requests its part of what one call returned: by one frame, where they are small and plain."""
    answers: List[Answer] = []
    doubles = batcher.as_doubles(value, counts)
    if doubles is not None:
        link.answer_together(gathered[0].id, counts, doubles, micros, finished, NUMBERS)
        return
    texts = batcher.encode_at_once(value, counts)
    if texts is None:
        parts = batcher.split(value, counts)
        answers = [encode(frame, part) for frame, part in zip(one_by_one(gathered), parts)]
        texts = [answer.payload for answer in answers if answer.is_plain]
    if len(texts) == len(counts) and sum(map(len, texts)) < LARGE_PAYLOAD:
        link.answer_together(gathered[0].id, list(map(len, texts)), b"".join(texts), micros, finished)
        return
    link.announce_batch(len(counts), 0, micros, b"", finished)
    answers = answers or [Answer(200, RETURNED, text, b"") for text in texts]
    for frame, answer in zip(one_by_one(gathered), answers):
        send(link, frame, answer, micros, finished)


def score(link: Link, service: Service, frame: Frame) -> None:
    """Run the user's code for one request and answer it."""
    link.mark_started(frame.id, frame.id)
    answer = None
    started = finished = clock()
    try:
        arguments = service.arguments(frame)
        started = clock()
        value = service.run_array(**arguments) if frame.flags & ARRAY else service.script.run(**arguments)
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
    send(link, frame, answer, as_micros(finished - started), finished)


def send(link: Link, frame: Frame, answer: Answer, micros: int, finished: float) -> None:
    if answer.chunks is None:
        link.answer(frame, *answer[:4], micros, finished)
    else:
        stream(link, frame, answer, micros)


def as_micros(seconds: float) -> int:
    """Of a call of ``run``: 1 at least, since 0 says that there was none."""
    return min(int(seconds * 1e6) or seconds > 0, LONGEST_MICROS)


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


def leave(link: Link, requests: Requests) -> NoReturn:
    """The script ends the process: what was answered before goes out, what was being scored is lost."""
    if not link.closed:
        link.flush()
        log("run() ended the process itself, by sys.exit, at request {}.".format(requests.id))
    raise


def report_raised(frame: Frame, error: BaseException) -> Answer:
    log("run() raised at request {}.\n{}".format(frame.id, format_exception(error)))
    return Answer(500, RAISED | RUN_FAILED, text_of(error).encode("utf-8", "backslashreplace"), b"")


def encode(frame: Frame, value: object) -> Answer:
    try:
        return answer_of(value)
    except BaseException as error:  # the methods of the value's classes may raise whatever they like
        text = "{}\n{}".format(complaint(value, error), traceback.format_exc())
        log("At request {}: {}".format(frame.id, text))
        return Answer(500, RETURNED | UNSERIALIZABLE, text.encode("utf-8", "backslashreplace"), b"")

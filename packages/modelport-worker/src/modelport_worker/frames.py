"""The frames that a scoring server and its workers exchange over a socketpair.

One definition serves both sides: the scoring server imports this module too. Everything is little-endian.

    +--------+-------------+-----------+----------+--------+--------+---------+  meta_length  payload_length
    | id u64 | payload u32 | meta u32  | micros u32 | code u16 | kind u8 | flags u8 |  meta …       payload …
    +--------+-------------+-----------+----------+--------+--------+---------+

``id``      the request's number, chosen by the server, never 0 for a request, never reused in a worker's life
``micros``  in a RESULT: microseconds that ``run`` took, at least 1; 0 where it was not called
``code``    in a RESULT: the HTTP status the worker asks for
``meta``    JSON, UTF-8, or nothing; what it holds depends on the kind
``payload`` bytes; what they hold depends on the kind

The reasons are in docs/architecture/03-data-plane.md.
"""

import struct
from functools import lru_cache

HEADER = struct.Struct("<QIIIHBB")
HEADER_SIZE = HEADER.size  # 24 bytes

# --- server to worker -------------------------------------------------------------------------------------------------
SCORE = 1
"""Score one request. ``payload``: the body as it came; with QUERY, the raw query string (ASCII, without ``?``); with
ARRAY, the numbers that the body held, as READY's ``array`` describes them.
``meta``: if READY said ``"wants_request": true``, ``{"method", "path", "query", "headers": [[name, value], …]}``, a
line feed, and behind it the request's id, where no header has it; another line feed, and behind that the client's
address, where it is known; else nothing. Header names are in Title-Case."""

STOP = 2
"""Finish what was received, then exit with status 0."""

FORK = 3
"""To a template, the process that workers are forked from: fork one. ``id``: the fork's number. Two descriptors come
with the frame (SCM_RIGHTS): the worker's end of a socketpair of its own, and its page."""

REAP = 4
"""To a template: collect the exit status of the fork with that number, which has ended, or is to be ended now."""

SCORES = 5
"""Score several requests that have the same flags and no ``meta``: one frame costs both sides less than many. ``id``:
that of the first; those of the others follow it. ``code``: how many. ``payload``: the length of each body (u32), and
behind them the bodies. It goes only to a worker that scores requests together."""

MOST_TOGETHER_BYTES = 128 * 1024
"""From here on bodies are not put into one frame with others: the worker's buffer takes such a frame whole."""

# --- worker to server -------------------------------------------------------------------------------------------------
PHASE = 16
"""The worker enters a phase of its start; ``payload``: ``import``, ``init``, ``schema`` or ``warm-up``."""

READY = 17
"""``init()`` has returned. ``payload``: JSON, see ``docs/architecture/03-data-plane.md``."""

FAILED = 18
"""The start failed; the worker exits with status 3. ``payload``: JSON ``{"phase", "type", "message", "traceback"}``."""

RESULT = 19
"""The answer to the SCORE frame with the same id. ``meta``: JSON ``[[name, value], …]``, headers to send, or nothing.
``payload``: the body; with MORE, nothing: it follows in CHUNK frames."""

CHUNK = 20
"""A piece of the body of the RESULT with the same id, which had MORE. The one with LAST is the last; with BROKEN, the
script failed while it made the body, and the client must not take it for whole."""

BATCH = 21
"""The next ``code`` RESULT frames were made by one call of ``run``, which took ``micros``. With REDONE that call failed
or what it returned did not split, and the requests were scored one by one after all. ``payload``: why, as text."""

RESULTS = 24
"""A BATCH and its RESULTs in one frame, where each is 200 and RETURNED, without ``meta``. ``id``: that of the first;
those of the others follow it. ``code``: how many. ``payload``: as in SCORES; with NUMBERS, how many numbers each answer
has (u32), and behind that all numbers as doubles: each answer is the list of its own, as ``json`` would have written
it."""

FORKED = 22
"""A template's answer to FORK. ``payload``: the worker's process id, in decimal; ``code``: 0, or the errno with which
the system refused."""

REAPED = 23
"""A template's answer to REAP. ``payload``: the exit status in decimal, negative for a signal; nothing where the script
has collected it itself."""

# --- flags of a SCORE -------------------------------------------------------------------------------------------------
QUERY = 1
"""The request was a GET: the payload is its query string."""

ARRAY = 2
"""The payload is an array's memory: little-endian, row by row; its length tells the number of rows."""

ALONE = 4
"""Not to be scored together with others."""

SHARED = 32
"""Also in a RESULT: the payload lies in the shared memory. In its place stands SLOT: where it begins, its length, and
where and how much room there is for the RESULT of the same id; in a RESULT, the length alone counts."""

SLOT = struct.Struct("<IIII")

# --- flags of a RESULT ------------------------------------------------------------------------------------------------
RETURNED = 1
"""``run`` returned (``x-ms-run-fn-exec-ms`` is sent only then)."""

RUN_FAILED = 2
"""The header ``x-ms-run-function-failed`` is ``True``."""

RAISED = 4
"""``run`` raised: the payload is ``str(exception)``; the server chooses status and body by its error mode."""

UNSERIALIZABLE = 8
"""``run`` returned what JSON cannot hold: the payload is the traceback; the server chooses status and body."""

MORE = 16
"""The body follows in CHUNK frames."""

NUMBERS = 64
"""The body is a JSON list of numbers that the server has still to write: the payload is ROW and, behind it, the numbers
as doubles. ROW is 0 for a plain list; for a list of lists, the length of each."""

ROW = struct.Struct("<Q")

# --- flags of a CHUNK -------------------------------------------------------------------------------------------------
LAST = 1
BROKEN = 2

# --- flags of a BATCH -------------------------------------------------------------------------------------------------
REDONE = 1
STOPPED = 2
"""It happened so often that the worker scores no more requests together."""

# --- the shared page --------------------------------------------------------------------------------------------------
PAGE_SIZE = 4096
MEMORY_SIZE = PAGE_SIZE + 128 * 1024 * 1024
"""The page, and behind it the room for payloads with SHARED. It is used, and counted, only as far as it was written."""

STARTED = struct.Struct("<QQ")
"""At offset 0 of the page, written by the worker: the ids of the first and the last request that ``run`` was last
started for; they differ for a batch. After a crash, those and no others may have had an effect; the ones sent after
them never started, and can be given to another worker."""

CANCELLED = struct.Struct("<Q")
CANCELLED_AT = 16
"""At this offset of the page, written by the server: the id of a request whose client has gone while its body was
being streamed. The worker makes no more of it."""

CUT_OFF_AT = 24
"""At this offset of the page, a byte, written by the worker: 1 when its script has closed the descriptor of its link,
and perhaps that of its log too, so that it cannot say so in another way."""


@lru_cache(maxsize=256)
def lengths(count):
    # type: (int) -> struct.Struct
    """The beginning of a SCORES or RESULTS frame's payload."""
    return struct.Struct("<{}I".format(count))


def pack(request_id, kind, payload=b"", meta=b"", flags=0, code=0, micros=0):
    # type: (int, int, bytes, bytes, int, int, int) -> bytes
    """One whole frame as bytes."""
    return HEADER.pack(request_id, len(payload), len(meta), micros, code, kind, flags) + meta + payload

"""Where each number of a server process lies in its part of the shared memory.

A part holds doubles only, because one of them is read or written in a single instruction: whoever reads while another
process counts sees the number before or after, never between.

    +------+----------------+-------+-------+-----+
    | head | other routes   | row 0 | row 1 | ... |    a row: all the numbers of one revision
    +------+----------------+-------+-------+-----+
"""

from __future__ import annotations

import zlib

DOUBLE = 8

# --- histograms -------------------------------------------------------------------------------------------------------
SECONDS = (
    *(0.0001, 0.00025, 0.0005),
    *(0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0),
    *(10.0, 25.0, 50.0, 100.0),
)
"""Upper bounds of the buckets of every duration. What takes longer than the last falls into one more bucket."""

BUCKETS = len(SECONDS) + 1
HISTOGRAM_SLOTS = BUCKETS + 1  # the sum is the last

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LARGEST_BATCH = BATCH_SIZES[-1]
"""Requests are counted by the exact size of their batch up to here; those of larger ones together."""

# --- statuses ---------------------------------------------------------------------------------------------------------
FIRST_STATUS = 100
STATUSES = 500
"""100 to 599."""

# --- a revision's row -------------------------------------------------------------------------------------------------
USED_AT = 0
"""When the last of its requests was answered, to a second (CLOCK_MONOTONIC, which all processes share)."""
SEEN = 1
"""How many had been answered then."""
WORKER_RESTARTS = 2
BATCHES_REDONE = 3
SHADOW_EQUAL = 4
SHADOW_DIFFERENT = 5
SHADOW_DROPPED = 6
WAS_READY = 7
"""1.0 once a worker of the revision took requests, in this server process or in one before it."""
BY_STATUS = 8
DURATION = BY_STATUS + STATUSES
QUEUE_WAIT = DURATION + HISTOGRAM_SLOTS
RUN = QUEUE_WAIT + HISTOGRAM_SLOTS
BY_BATCH_SIZE = RUN + HISTOGRAM_SLOTS
LARGER_BATCHES = BY_BATCH_SIZE + LARGEST_BATCH + 1
"""Those above the largest: a request of one counts as its part of it, so that they add up to their number."""
REQUESTS_OF_LARGER = LARGER_BATCHES + 1
ROW_SLOTS = REQUESTS_OF_LARGER + 1

ROWS = 32
"""Revisions that a process keeps count of; of more, the one whose last request is the longest ago gives way."""

# --- the head of a part -----------------------------------------------------------------------------------------------
DIGEST_SLOT = 0
"""What this page says, as a number: another release's part is not misread."""
PID = 1
PUBLISHED_AT = 2
"""When the gauges were written last (CLOCK_MONOTONIC)."""
CONNECTIONS_TOTAL = 3
LINES_DROPPED = 4
SPANS_DROPPED = 5
WORKERS_READY = 6
WORKERS_WANTED = 7
QUEUE_LENGTH = 8
IN_FLIGHT = 9
CONNECTIONS = 10
SHAKING_HANDS = 11
"""Clients that were accepted and are no connections yet: TLS takes its time."""
GAUGES = slice(WORKERS_READY, SHAKING_HANDS + 1)

KEYS_START = SHAKING_HANDS + 1
KEYS = slice(KEYS_START, KEYS_START + ROWS)
"""Whose each row is: the revision's number and 1; 0.0 where the row is free."""

ROUTES = ("/", "/score", "/swagger.json", "/metrics", "/livez", "/readyz", "/v2", "other")
"""What is counted apart, besides scored requests; ``/score``: those refused before a revision was asked."""

ROUTES_START = KEYS_START + ROWS
ROWS_START = ROUTES_START + len(ROUTES) * STATUSES
PART_SLOTS = ROWS_START + ROWS * ROW_SLOTS
PART_BYTES = 1 << 20
"""The same in every release, so that no two processes' parts overlap where one was upgraded and restarted before the
other. Most of it is never touched, and so takes no memory."""

TOLD = PART_BYTES // DOUBLE - 1
"""The last slot, in every release: the signal by which the supervisor has told the process to end, or 0.0."""

DIGEST = float(zlib.crc32(repr((SECONDS, BATCH_SIZES, ROUTES, ROW_SLOTS, ROWS, ROUTES_START, ROWS_START)).encode()))

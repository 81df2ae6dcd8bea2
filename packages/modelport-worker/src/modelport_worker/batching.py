"""Several requests, one call: for scripts whose one parameter is an array or a table of independent rows, and for those
that have a ``run_batch`` of their own."""

from array import array
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence, Union

from modelport_worker.answers import FLOAT, MANY_NUMBERS
from modelport_worker.arguments import Arguments, Rejected
from modelport_worker.frames import ALONE, ARRAY, QUERY
from modelport_worker.json_codec import dumps
from modelport_worker.link import LARGE_PAYLOAD, Bundle, Frame
from modelport_worker.orjson_if_present import orjson
from modelport_worker.samples import ArraySample, Sample, below_decorators

MOST_FAILURES = 8
"""After so many calls in a row whose result did not split, nothing is scored together any more."""

NUMBERS = frozenset((float, int))
MOST_DOUBLES = LARGE_PAYLOAD // 16
"""So many cross together, with a count for each, in one small frame."""

SEPARATOR = b", " if orjson is None else b","
"""Between two numbers."""

LARGEST = 2**63
"""Beyond it, and for NaN, another encoder writes all numbers of a list, with other spaces between them."""


class Group(NamedTuple):
    """What several requests are together: what is called for them, with which argument, and how many rows of that are
    each one's."""

    run: Callable[[Any], Any]
    argument: Any
    counts: List[int]


class Mixed(Exception):
    """These requests cannot be scored together and be certain of the answers that each would get alone."""


Requests = Union[Frame, Bundle]


def may_join(requests: Requests) -> bool:
    return not requests.flags & (ALONE | QUERY)


def one_by_one(gathered: Sequence[Requests]) -> Iterator[Frame]:
    """Each request by itself."""
    for requests in gathered:
        if isinstance(requests, Bundle):
            yield from requests.frames()
        else:
            yield requests


class Batcher:
    """Joins requests, calls the script, and splits what it returned for them."""

    function, part = "run_batch()", "request"
    """What is called, and for what its result has a member each."""

    def __init__(self, run: Callable[[Any], Any], arguments: Arguments, *, most: int, wait_s: float) -> None:
        """At most ``most`` requests are joined; a worker without other work waits ``wait_s`` seconds for more."""
        self.most = most
        self.wait_s = wait_s
        self._run = run
        self._arguments = arguments
        self._failures = 0

    def join(self, gathered: Sequence[Requests]) -> Group:
        """Requests with the same flags. Raises Mixed."""
        try:
            every = [self._arguments(frame) for frame in one_by_one(gathered)]
            return Group(self._run, every, [1] * len(every))
        except Rejected:
            raise Mixed("one of the requests is not valid")

    def can_split(self, value: Any, counts: List[int]) -> bool:
        """Whether what the call returned has a part for each request."""
        if type(value) not in (list, tuple) or len(value) != sum(counts):
            self._failures += 1
            return False
        self._failures = 0
        return True

    def split(self, value: Any, counts: List[int]) -> List[Any]:
        """What the call returned, for each request its part."""
        return list(value)

    def encode_at_once(self, value: Any, counts: List[int]) -> Optional[List[bytes]]:
        """The JSON of each request's part; None where each has to be encoded by itself."""
        return None

    def as_doubles(self, value: Any, counts: List[int]) -> Optional[bytes]:
        """All that the call returned, for the server to write; None where it is not just floats, or can as well be
        written here."""
        return None

    @property
    def is_hopeless(self) -> bool:
        return self._failures >= MOST_FAILURES


class RowBatcher(Batcher):
    """For a ``run`` whose one parameter has the sample: its rows are joined, and those of its result split."""

    function, part = "run()", "row"

    def __init__(
        self, run: Callable[..., Any], arguments: Arguments, sample: Sample, *, most: int, wait_s: float
    ) -> None:
        super().__init__(by_name(run, sample.name), arguments, most=most, wait_s=wait_s)
        self._run_array = by_name(below_decorators(run, sample), sample.name)
        self._sample = sample

    def join(self, gathered: Sequence[Requests]) -> Group:
        """Requests with the same flags. Raises Mixed."""
        return self._join_arrays(gathered) if gathered[0].flags & ARRAY else self._join_rows(gathered)

    def _join_arrays(self, gathered: Sequence[Requests]) -> Group:
        assert isinstance(self._sample, ArraySample)
        # A copy also of a single one: run() may write to its argument, and the requests be redone one by one then.
        array = self._sample.from_memory(bytearray().join(requests.payload for requests in gathered))
        row_bytes = self._sample.row_bytes
        return Group(self._run_array, array, [size // row_bytes for requests in gathered for size in requests.sizes])

    def _join_rows(self, gathered: Sequence[Requests]) -> Group:
        rows: List[Any] = []
        counts = []
        for frame in one_by_one(gathered):
            try:
                value = self._arguments(frame)[self._sample.name]
            except Rejected:
                raise Mixed("one of the requests is not valid")
            if not isinstance(value, list) or not value:
                raise Mixed("one of the requests is not a list of rows")
            rows += value
            counts.append(len(value))
        if not self._sample.rows_are_alike(rows):
            raise Mixed("the rows of the requests differ in kind")
        return Group(self._run, rows, counts)

    def encode_at_once(self, value: Any, counts: List[int]) -> Optional[List[bytes]]:
        return encode_numbers(value, counts)

    def as_doubles(self, value: Any, counts: List[int]) -> Optional[bytes]:
        if orjson is not None or len(value) > MOST_DOUBLES or max(counts) >= MANY_NUMBERS:
            return None  # of many numbers, the form is another where a request is alone
        if not FLOAT.issuperset(map(type, value)):
            return None
        return array("d", value).tobytes()

    def split(self, value: Any, counts: List[int]) -> List[Any]:
        parts, start = [], 0
        for count in counts:
            parts.append(value[start : start + count])
            start += count
        return parts


def by_name(run: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    """``run`` with its one argument given by name, as requests give it."""
    return lambda rows: run(**{name: rows})


def encode_numbers(values: Sequence[Any], counts: List[int]) -> Optional[List[bytes]]:
    """The JSON of each request's part, as if each had been encoded by itself; None where the values are not just
    numbers, or a part has so many that the server writes them. Encoding them all at once takes a fifth of the time."""
    if orjson is None and max(counts) >= MANY_NUMBERS:
        return None
    if not NUMBERS.issuperset(map(type, values)) or not (min(values) > -LARGEST and max(values) < LARGEST):
        return None
    text = dumps(values)
    if b"N" in text or b"I" in text:  # NaN, Infinity
        return None
    if len(values) == len(counts):
        return [b"[" + number + b"]" for number in text[1:-1].split(SEPARATOR)]
    numbers = text[1:-1].split(b",")
    parts, start = [], 0
    for count in counts:
        parts.append(b"[" + b",".join(numbers[start : start + count]).lstrip() + b"]")
        start += count
    return parts

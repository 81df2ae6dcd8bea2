"""How what ``run`` returns becomes the answer to a request (reference, 5.8)."""

import sys
from array import array
from functools import lru_cache
from itertools import chain
from json import dumps as own_dumps
from operator import index
from types import GeneratorType
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import quote

from modelport_worker.bodies import close_body
from modelport_worker.frames import NUMBERS, RETURNED, ROW, RUN_FAILED
from modelport_worker.json_codec import dumps
from modelport_worker.orjson_if_present import orjson

LARGEST_PAYLOAD = 0xFFFFFFFF
"""What the length in a frame can tell."""

MANY_NUMBERS = 32
"""From here on a list of floats crosses as it lies in memory, where this environment has no orjson: the server has it,
and writes a number in a tenth of the time."""

MOST_NUMBERS = 100000
"""More of them would keep the server from its other requests for more than some milliseconds."""

LIST = frozenset((list,))
FLOAT = frozenset((float,))

RESPONSE_CLASSES = (
    ("azureml.contrib.services.aml_response", "AMLResponse"),
    ("werkzeug.wrappers", "Response"),  # Flask's derives from it
)

FAILED_HEADER = "x-ms-run-function-failed"

OF_URI = "%!#$&'()*+,/:;=?@[]~"
"""What stays as it is in a Location (RFC 3986), besides letters, digits and ``-._``."""

GENERATOR_HEADERS = b'[["Content-Type", "text/html; charset=utf-8"]]'
"""Of a generator that ``run`` returns without a response around it: the type that an AMLResponse has too."""


class Answer(NamedTuple):
    """What a RESULT frame carries; ``chunks`` make the body where it is sent while it is made."""

    code: int
    flags: int
    payload: bytes
    meta: bytes
    chunks: Optional[Iterator[Any]] = None

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but a body to it."""
        return self.code == 200 and self.flags == RETURNED and not self.meta and self.chunks is None


def answer_of(value: Any) -> Answer:
    """The answer that ``value`` asks for. Raises whatever its encoding raises: TypeError, ValueError, …"""
    if value is None:
        return Answer(200, RETURNED, b"{}", b"")
    if isinstance(value, (str, list, dict, float, int)):
        numbers = numbers_of(value) if type(value) is list and orjson is None else None
        if numbers is not None:
            return Answer(200, RETURNED | NUMBERS, numbers, b"")
        answer = Answer(200, RETURNED, dumps(value), b"")
    elif isinstance(value, GeneratorType):
        answer = Answer(200, RETURNED, b"", GENERATOR_HEADERS, value)
    elif is_response(value.__class__):
        answer = answer_of_response(value)
    else:
        answer = Answer(200, RETURNED, dumps(value), b"")
    if len(answer.payload) > LARGEST_PAYLOAD:
        raise ValueError("The answer has {} bytes; {} can be sent.".format(len(answer.payload), LARGEST_PAYLOAD))
    return answer


def numbers_of(values: List[Any]) -> Optional[bytes]:
    """The payload of an answer with NUMBERS; None where the values are not that many floats, in rows of one length."""
    row = 0
    if values and type(values[0]) is list:
        row = len(values[0])
        if not row or set(map(type, values)) != LIST or set(map(len, values)) != {row}:
            return None
        values = list(chain.from_iterable(values))
    if not MANY_NUMBERS <= len(values) <= MOST_NUMBERS or set(map(type, values)) != FLOAT:
        return None
    return ROW.pack(row) + array("d", values).tobytes()


@lru_cache(maxsize=16)
def is_response(kind: type) -> bool:
    """Whether it is one of the response classes, or derived from one: once and for all, as its bases are."""
    return issubclass(kind, response_classes())


def response_classes() -> Tuple[type, ...]:
    """The response classes that the script may have made an object of; those never imported are not looked for."""
    modules = [(sys.modules.get(module), name) for module, name in RESPONSE_CLASSES]
    return tuple(getattr(module, name) for module, name in modules if hasattr(module, name))


def answer_of_response(response: Any) -> Answer:
    """Status, headers and body of an AMLResponse, or of a response of Flask's, which has the same names for them."""
    if not 100 <= response.status_code <= 999:
        raise ValueError("The status of the response is {}, which HTTP does not have.".format(response.status_code))
    meta, says_failed = head_of(tuple(map(tuple, response.headers.items())))
    failed = says_failed or response.status_code >= 500 or getattr(response, "run_function_failed", False)
    streamed = response.is_streamed
    return Answer(
        index(response.status_code),
        RETURNED | (RUN_FAILED if failed else 0),
        b"" if streamed else whole_body(response),
        meta,
        chunks_of(response) if streamed else None,
    )


def whole_body(response: Any) -> bytes:
    """The body of a response that is no stream; the response is closed then (Flask's ``call_on_close``)."""
    body: bytes = response.get_data()
    close_body(response)
    return body


@lru_cache(maxsize=16)
def head_of(headers: Tuple[Tuple[Any, Any], ...]) -> Tuple[bytes, bool]:
    """The ``meta`` of a RESULT, and whether the headers themselves say that ``run`` failed. Most answers of a script
    have the same headers."""
    pairs, failed = [], False
    for name, value in headers:
        known = str(name).lower()
        if known == "location":
            value = quote(str(value), safe=OF_URI)  # a client cannot follow one with blanks; Flask sends it so too
        elif known == FAILED_HEADER:
            failed = failed or str(value).lower() == "true"
        pairs.append((name, value))
    return own_dumps(pairs).encode("ascii"), failed


def chunks_of(response: Any) -> Iterator[Any]:
    """The body as it is made; the response is closed behind it, however it ends."""
    try:
        for chunk in response.iter_encoded():
            yield chunk
    finally:
        response.close()


def rejection(message: str) -> Answer:
    """The answer to a request that is itself at fault."""
    return Answer(400, 0, own_dumps({"message": message}).encode("ascii"), b"")

"""How what ``run`` returns becomes the answer to a request (reference, 5.8)."""

import json
import sys
from types import GeneratorType
from typing import Any, Iterator, NamedTuple, Optional, Tuple

from modelport_worker.frames import RETURNED, RUN_FAILED
from modelport_worker.json_codec import dumps

LARGEST_PAYLOAD = 0xFFFFFFFF
"""What the length in a frame can tell."""

RESPONSE_CLASSES = (
    ("azureml.contrib.services.aml_response", "AMLResponse"),
    ("werkzeug.wrappers", "Response"),  # Flask's derives from it
)

GENERATOR_HEADERS = b'[["Content-Type", "text/html; charset=utf-8"]]'
"""Of a generator that ``run`` returns without a response around it: the type that an AMLResponse has too."""


class Answer(NamedTuple):
    """What a RESULT frame carries; ``chunks`` make the body where it is sent while it is made."""

    code: int
    flags: int
    payload: bytes
    meta: bytes
    chunks: Optional[Iterator[Any]] = None


def answer_of(value: Any) -> Answer:
    """The answer that ``value`` asks for. Raises whatever its encoding raises: TypeError, ValueError, …"""
    if value is None:
        return Answer(200, RETURNED, b"{}", b"")
    if isinstance(value, (str, list, dict, float, int)):
        answer = Answer(200, RETURNED, dumps(value), b"")
    elif isinstance(value, GeneratorType):
        answer = Answer(200, RETURNED, b"", GENERATOR_HEADERS, value)
    elif isinstance(value, response_classes()):
        answer = answer_of_response(value)
    else:
        answer = Answer(200, RETURNED, dumps(value), b"")
    if len(answer.payload) > LARGEST_PAYLOAD:
        raise ValueError("The answer has {} bytes; {} can be sent.".format(len(answer.payload), LARGEST_PAYLOAD))
    return answer


def response_classes() -> Tuple[type, ...]:
    """The response classes that the script may have made an object of; those never imported are not looked for."""
    modules = [(sys.modules.get(module), name) for module, name in RESPONSE_CLASSES]
    return tuple(getattr(module, name) for module, name in modules if hasattr(module, name))


def answer_of_response(response: Any) -> Answer:
    """Status, headers and body of an AMLResponse, or of a response of Flask's, which has the same names for them."""
    if not 100 <= response.status_code <= 999:
        raise ValueError("The status of the response is {}, which HTTP does not have.".format(response.status_code))
    failed = response.status_code >= 500 or getattr(response, "run_function_failed", False)
    headers = [[name, value] for name, value in response.headers.items()]
    streamed = response.is_streamed
    return Answer(
        response.status_code,
        RETURNED | (RUN_FAILED if failed else 0),
        b"" if streamed else response.get_data(),
        json.dumps(headers).encode("ascii"),
        chunks_of(response) if streamed else None,
    )


def chunks_of(response: Any) -> Iterator[Any]:
    """The body as it is made; the response is closed behind it, however it ends."""
    try:
        for chunk in response.iter_encoded():
            yield chunk
    finally:
        response.close()


def rejection(message: str) -> Answer:
    """The answer to a request that is itself at fault."""
    return Answer(400, 0, json.dumps({"message": message}).encode("ascii"), b"")

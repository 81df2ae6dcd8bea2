"""What a script reads of a request, by the names of Flask's: all that a client can send is taken, or is as if it had
not been sent. Only a body that is no JSON, and a form with too many parts, raise an error, a ValueError.

An input is a query, header lines and a body with 0xFFFF between them, each as ``pieces.expand`` takes it: of what takes
longer than it is long, libFuzzer finds that it takes seconds.
"""

from __future__ import annotations

import json
from contextlib import suppress

from azureml.contrib.services._accept import ACCEPTED
from azureml.contrib.services._multipart import TooMuch
from azureml.contrib.services._request_details import DATES, TEXTS, detail
from azureml.contrib.services.aml_request import AMLRequest
from fuzz.pieces import expand
from fuzz.targets.http_reader import SEPARATOR

MOST_HEADER_BYTES = 64 * 1024
MOST_BODY_BYTES = 256 * 1024

OWN = (
    "headers",
    "args",
    "query_string",
    "full_path",
    "scheme",
    "is_secure",
    "host",
    "host_url",
    "base_url",
    "url",
    "content_type",
    "mimetype",
    "mimetype_params",
    "content_encoding",
    "referrer",
    "origin",
    "content_length",
    "access_route",
    "cookies",
    "data",
    "is_json",
)
DETAILS = [*TEXTS, *DATES, *ACCEPTED, "authorization", "user_agent", "access_control_request_headers", "max_forwards"]
OFFERED = ("text/html", "application/json", "de", "en-GB", "utf-8", "gzip")


def check_one(data: bytes) -> None:
    query, lines, body = [*data.split(SEPARATOR, 2), b"", b""][:3]
    request = AMLRequest(
        "POST",
        "/score",
        query=plain(expand(query)),
        headers=read_lines(plain(expand(lines))),
        body=expand(body)[:MOST_BODY_BYTES],
        address="127.0.0.1",
    )
    for name in OWN:
        str(getattr(request, name))
    for name in DETAILS:  # not by the request, which asks Werkzeug where that is installed
        str(detail(name, request.headers))
    check_accepted(request)
    check_json(request)
    with suppress(TooMuch):
        str(request.form), str(request.values)
        for upload in request.files.values():
            str(upload), upload.mimetype_params, upload.content_length, upload.headers
    json.dumps([list(request.args.items()), list(request.cookies.items())])


def plain(text: bytes) -> str:
    """As it comes to a worker: without what no server lets pass."""
    return text[:MOST_HEADER_BYTES].translate(None, b"\r\0").decode("latin-1")


def read_lines(text: str) -> list[tuple[str, str]]:
    found = (line.partition(":") for line in text.split("\n"))
    return [(name, value.strip(" \t")) for name, colon, value in found if name and colon]


def check_accepted(request: AMLRequest) -> None:
    """Each kind of choice answers each question."""
    for name in ACCEPTED:
        accepted = detail(name, request.headers)
        assert all(0 <= quality <= 1 for _, quality in accepted)
        list(accepted.values())
        offered = [each for each in OFFERED if ("/" in each) == (name == "accept_mimetypes")]
        best = accepted.best_match(offered)
        assert best is None or best in offered
        for each in offered:
            assert (accepted.quality(each) > 0) <= (each in accepted)
            assert accepted.find(each) < len(accepted)


def check_json(request: AMLRequest) -> None:
    with suppress(ValueError, RecursionError):
        request.get_json(force=True)
    with suppress(RecursionError):
        assert request.get_json(silent=True) is None or request.is_json

"""``multipart/form-data`` (RFC 7578, in the framing of RFC 2046), read where it lies: no content is copied."""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote_to_bytes

MOST_PARTS = 1000
MOST_HEADER_BYTES = 16 * 1024
"""Of one part. Like the number of parts, more than any form has, and less than keeps a worker busy for long."""

BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]\Z")
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)\Z", re.DOTALL)
PARAMETER = re.compile(r';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;" \t]*)[ \t]*')
ESCAPED = re.compile(r'\\(["\\])')
FINAL = b"--"


class Part(NamedTuple):
    """A part of a form: its content is ``body[start:end]``. ``filename`` is None for a field."""

    name: str
    filename: Optional[str]
    headers: List[Tuple[str, str]]
    start: int
    end: int


class Line(NamedTuple):
    """A line of the body that divides its parts: where it begins, where the one behind it does, and whether it is the
    last of them."""

    start: int
    end: int
    is_last: bool


def read_parts(body: bytes, boundary: Optional[str]) -> Iterator[Part]:
    """The parts of a body, in order. Raises ValueError where it is cut off, damaged, or has too many of them."""
    if not boundary or not BOUNDARY.match(boundary):
        raise ValueError("The content type multipart/form-data names no boundary, or not one of 1 to 70 characters.")
    delimiter = b"\r\n--" + boundary.encode("ascii")
    line = first_line(body, delimiter)
    for _ in range(MOST_PARTS):
        if line.is_last:
            return
        head_end = end_of_head(body, line.end, delimiter)
        head, line = body[line.end : head_end], next_line(body, delimiter, head_end + 2)
        yield describe_part(head, start=head_end + 4, end=max(head_end + 4, line.start))
    if not line.is_last:
        raise ValueError("The multipart/form-data body has more than {} parts.".format(MOST_PARTS))


def first_line(body: bytes, delimiter: bytes) -> Line:
    """The first dividing line: it may be the first line of all. What stands before it is ignored."""
    if body.startswith(delimiter[2:]):
        line = line_at(body, -2, len(delimiter) - 2)
        if line is not None:
            return line
    return next_line(body, delimiter, 0)


def next_line(body: bytes, delimiter: bytes, position: int) -> Line:
    while True:
        start = body.find(delimiter, position)
        if start < 0:
            raise ValueError("The multipart/form-data body has no closing boundary: it is cut off.")
        position = start + len(delimiter)
        line = line_at(body, start, position)
        if line is not None:
            return line


def line_at(body: bytes, start: int, position: int) -> Optional[Line]:
    """The dividing line whose boundary ends at ``position``; None where it goes on, and so is content."""
    if body.startswith(FINAL, position):
        return Line(start, len(body), True)
    while body[position : position + 1] in (b" ", b"\t"):
        position += 1
    return Line(start, position + 2, False) if body.startswith(b"\r\n", position) else None


def end_of_head(body: bytes, position: int, delimiter: bytes) -> int:
    """Where the empty line behind a part's headers begins; the headers may be none."""
    end = body.find(b"\r\n\r\n", position - 2, position + MOST_HEADER_BYTES)
    if end < 0 or body.find(delimiter, position - 2, end) >= 0:
        raise ValueError(
            "A part of the multipart/form-data body has no end of its headers within {} bytes.".format(
                MOST_HEADER_BYTES
            )
        )
    return end


def describe_part(head: bytes, *, start: int, end: int) -> Part:
    headers = [read_header(line) for line in head.decode("utf-8", "replace").split("\r\n") if line]
    described = {name.lower(): value for name, value in headers}
    disposition, parameters = read_parameters(described.get("content-disposition", ""))
    if disposition != "form-data" or "name" not in parameters:
        raise ValueError("A part of the multipart/form-data body has no name.")
    filename = parameters.get("filename*", parameters.get("filename"))
    return Part(parameters["name"], filename, headers, start, end)


def read_header(line: str) -> Tuple[str, str]:
    found = HEADER.match(line)
    if found is None:
        raise ValueError("A part of the multipart/form-data body has a header that is none: {!r}".format(line[:100]))
    return found.group(1), found.group(2).strip(" \t")


def read_parameters(value: str) -> Tuple[str, Dict[str, str]]:
    """What a header's value says before its parameters, and those; both in small letters. Raises ValueError where it
    cannot be read."""
    kind, semicolon, rest = value.partition(";")
    rest, position = semicolon + rest, 0
    parameters: Dict[str, str] = {}
    while position < len(rest):
        found = PARAMETER.match(rest, position)
        if found is None:
            if not rest[position:].strip("; \t"):
                break
            raise ValueError("The header value {!r} has a parameter that cannot be read.".format(value[:200]))
        name, position = found.group(1).lower(), found.end()
        parameters.setdefault(name, read_parameter(name, found.group(2)))
    return kind.strip(" \t").lower(), parameters


def read_parameter(name: str, text: str) -> str:
    """A parameter's value: quoted, or extended (RFC 8187: ``filename*=UTF-8''…``), or plain.

    In a quoted one browsers write a quotation mark as ``%22`` (the HTML standard), others put a backslash before it. A
    backslash before anything else stands for itself: it is in the paths that old browsers send.
    """
    if text.startswith('"'):
        return ESCAPED.sub(r"\1", text[1:-1]).replace("%22", '"')
    if name.endswith("*") and text.count("'") >= 2:
        charset, _, encoded = text.split("'", 2)
        try:
            return unquote_to_bytes(encoded).decode(charset or "utf-8", "replace")
        except LookupError:
            raise ValueError("The parameter {} has the unknown character set {!r}.".format(name, charset))
    return text

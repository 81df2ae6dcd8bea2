"""``multipart/form-data`` (RFC 7578, in the framing of RFC 2046), read where it lies: no content is copied."""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote_to_bytes

MOST_PARTS = 1000
MOST_HEADER_BYTES = 16 * 1024
"""Of one part. Like the number of parts, more than any form has, and less than keeps a worker busy for long."""

BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]\Z")
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)\Z", re.DOTALL)
PARAMETER = re.compile(
    r';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;" \t]*(?=[; \t]|\Z))[ \t]*'
)
NEXT_PARAMETER = re.compile(r"[^;]*")
SECTION = re.compile(r"\*\d{1,3}\*?\Z")
"""At the end of a parameter's name: its value is a part of that parameter's (RFC 2231, 3)."""

ESCAPED = re.compile(r'\\(["\\])')
LINE_END = re.compile(r"\r?\n")
FOLD = re.compile(r"\r?\n[ \t]+")
LINE_FEED = re.compile(rb"[ \t]*\n")
FINAL = b"--"


class TooMuch(ValueError):
    """The form is whole, but larger than any should be."""


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
    """The parts of a body, in order, without those that have no name. Lines end as the first dividing line does: in
    CRLF, or in the bare line feeds of programs that write such a body by hand.

    Raises ValueError where it is cut off or damaged, TooMuch where it has too many parts.
    """
    if not boundary or not BOUNDARY.match(boundary):
        raise ValueError("The content type multipart/form-data names no boundary, or not one of 1 to 70 characters.")
    marker = b"--" + boundary.encode("ascii")
    end = line_end(body, marker)
    line = first_line(body, marker, end)
    for _ in range(MOST_PARTS):
        if line.is_last:
            return
        head_end = end_of_head(body, line.end, marker, end)
        head, line = body[line.end : head_end], next_line(body, marker, end, head_end + len(end))
        start = head_end + 2 * len(end)
        part = describe_part(head, start=start, end=max(start, line.start))
        if part is not None:
            yield part
    if not line.is_last:
        raise TooMuch("The multipart/form-data body has more than {} parts.".format(MOST_PARTS))


def line_end(body: bytes, marker: bytes) -> bytes:
    start = 0 if body.startswith(marker) else body.find(b"\n" + marker) + 1
    return b"\r\n" if LINE_FEED.match(body, start + len(marker)) is None else b"\n"


def first_line(body: bytes, marker: bytes, end: bytes) -> Line:
    """The first dividing line: it may be the first line of all. What stands before it is ignored."""
    if body.startswith(marker):
        line = line_at(body, -len(end), len(marker), end)
        if line is not None:
            return line
    return next_line(body, marker, end, 0)


def next_line(body: bytes, marker: bytes, end: bytes, position: int) -> Line:
    delimiter = end + marker
    while True:
        start = body.find(delimiter, position)
        if start < 0:
            raise ValueError("The multipart/form-data body has no closing boundary: it is cut off.")
        position = start + len(delimiter)
        line = line_at(body, start, position, end)
        if line is not None:
            return line


def line_at(body: bytes, start: int, position: int, end: bytes) -> Optional[Line]:
    """The dividing line whose boundary ends at ``position``; None where it goes on, and so is content."""
    if body.startswith(FINAL, position):
        return Line(start, len(body), True)
    while body[position : position + 1] in (b" ", b"\t"):
        position += 1
    return Line(start, position + len(end), False) if body.startswith(end, position) else None


def end_of_head(body: bytes, position: int, marker: bytes, end: bytes) -> int:
    """Where the empty line behind a part's headers begins; the headers may be none."""
    found = body.find(end + end, position - len(end), position + MOST_HEADER_BYTES)
    if found < 0 or body.find(end + marker, position - len(end), found) >= 0:
        raise ValueError(
            "A part of the multipart/form-data body has no end of its headers within {} bytes.".format(
                MOST_HEADER_BYTES
            )
        )
    return found


def describe_part(head: bytes, *, start: int, end: int) -> Optional[Part]:
    """None where the part has no name."""
    lines = LINE_END.split(FOLD.sub(" ", head.decode("utf-8", "replace")))
    headers = [header for header in map(read_header, lines) if header is not None]
    described = {name.lower(): value for name, value in reversed(headers)}
    _, parameters = read_parameters(described.get("content-disposition", ""))
    name = parameters.get("name*", parameters.get("name"))
    filename = parameters.get("filename*", parameters.get("filename", join_sections("filename", parameters)))
    return None if name is None else Part(name, filename, headers, start, end)


def read_header(line: str) -> Optional[Tuple[str, str]]:
    """Name and value; None for a line that is no header."""
    found = HEADER.match(line)
    return None if found is None else (found.group(1), found.group(2).strip(" \t"))


def read_parameters(value: str) -> Tuple[str, Dict[str, str]]:
    """What a header's value says before its parameters, and those; both in small letters, without what cannot be
    read."""
    kind, semicolon, rest = value.partition(";")
    rest, position = semicolon + rest, 0
    parameters: Dict[str, str] = {}
    while position < len(rest):
        found = PARAMETER.match(rest, position)
        if found is not None:
            name, position = found.group(1).lower(), found.end()
            parameters.setdefault(name, read_parameter(name, found.group(2)))
        else:
            position += 1 if rest[position] == ";" else 0
            position = NEXT_PARAMETER.match(rest, position).end()  # type: ignore[union-attr]  # it matches nothing, too
    return kind.strip(" \t").lower(), parameters


def read_parameter(name: str, text: str) -> str:
    """A parameter's value: quoted, or extended (RFC 8187: ``filename*=UTF-8''…``), or plain.

    In a quoted one browsers write a quotation mark as ``%22`` (the HTML standard), others put a backslash before it. A
    backslash before anything else stands for itself: it is in the paths that old browsers send.
    """
    if text.startswith('"'):
        return ESCAPED.sub(r"\1", text[1:-1]).replace("%22", '"')
    if name.endswith("*") and text.count("'") >= 2 and SECTION.search(name) is None:
        charset, _, encoded = text.split("'", 2)
        return decode(unquote_to_bytes(encoded), charset)
    return text


def join_sections(name: str, parameters: Dict[str, str]) -> Optional[str]:
    """The value of a parameter that comes in sections (RFC 2231, 3: ``filename*0``, ``filename*1*``, …), as mail
    libraries write a long one. Those with an asterisk at the end are extended, in the character set that the first one
    names; a character may begin in one and end in the next. None where there are none."""
    charset = ""
    sections: List[bytes] = []
    while True:
        section = "{}*{}".format(name, len(sections))
        extended = parameters.get(section + "*")
        if extended is not None:
            if not sections and extended.count("'") >= 2:
                charset, _, extended = extended.split("'", 2)
            sections.append(unquote_to_bytes(extended))
        elif section in parameters:
            sections.append(parameters[section].encode())
        else:
            return decode(b"".join(sections), charset) if sections else None


def decode(text: bytes, charset: str) -> str:
    """The text, in UTF-8 where there is no such character set."""
    try:
        return text.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # the latter for a NUL in its name
        return text.decode("utf-8", "replace")

"""Bytes of a connection to answers, read as strictly as HTTP/1.1 is written (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z' -]+\Z")
FIELD = re.compile(rb"([a-z0-9-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)\Z")
RELAYED_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)\Z")
FRAMING = (b"content-length", b"transfer-encoding", b"connection")
CHUNK = re.compile(rb"([1-9a-f][0-9a-f]*)\r\n")
CONTINUE = re.compile(rb"(HTTP/1\.1 100 Continue\r\n\r\n)+")
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """``body`` is None where any body will do."""

    status: int
    body: bytes | None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        return self.status == other.status and (None in (self.body, other.body) or self.body == other.body)


def read_answers(data: bytes, methods: Iterable[bytes]) -> list[Answer]:
    """The final answers. ``methods``: those of the requests; behind the last of them, GET. Fails where the bytes are no
    answers."""
    reader = AnswerReader(data)
    methods = iter(methods)
    answers = []
    while reader.data and not CONTINUE.fullmatch(reader.data):
        answers.append(reader.read(next(methods, b"GET")))
    return answers


class AnswerReader:
    def __init__(self, data: bytes, *, is_relayed: bool = False) -> None:
        """``is_relayed``: the fields are another server's, but for those of the framing."""
        self.data = data
        self._field = RELAYED_FIELD if is_relayed else FIELD
        self._once = FRAMING if is_relayed else None

    def read(self, method: bytes) -> Answer:
        """The next final answer, which takes itself off the data."""
        status, fields = self._read_head()
        while status == 100:
            status, fields = self._read_head()
        if method == b"HEAD" or status in (204, 304):
            return Answer(status, b"")
        if b"transfer-encoding" in fields:
            assert b"content-length" not in fields
            return Answer(status, b"".join(self._read_chunks()))
        if b"content-length" in fields:
            return Answer(status, self._take(int(fields[b"content-length"])))
        assert fields.get(b"connection") == b"close", "the end of the body is not told"
        return Answer(status, self._take(len(self.data)))

    def _read_head(self) -> tuple[int, dict[bytes, bytes]]:
        head, found, self.data = self.data.partition(b"\r\n\r\n")
        assert found, f"half a head: {head!r}"
        first, *lines = head.split(b"\r\n")
        status = STATUS_LINE.match(first)
        assert status, f"no status line: {first!r}"
        fields = {}
        for line in lines:
            field = self._field.match(line)
            assert field, f"no field: {line!r}"
            name = field[1].lower()
            assert name not in fields or (self._once is not None and name not in self._once), f"twice: {line!r}"
            fields[name] = field[2]
        return int(status[1]), fields

    def _read_chunks(self) -> Iterator[bytes]:
        while not self.data.startswith(LAST_CHUNK):
            size = CHUNK.match(self.data)
            assert size, f"no chunk: {self.data[:20]!r}"
            self._take(size.end())
            yield self._take(int(size[1], 16))
            assert self._take(2) == b"\r\n"
        self._take(len(LAST_CHUNK))

    def _take(self, size: int) -> bytes:
        assert len(self.data) >= size, "the body is not whole"
        taken, self.data = self.data[:size], self.data[size:]
        return taken

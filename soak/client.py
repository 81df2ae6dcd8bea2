"""A client that accounts for all it sends: each request has a number of its own, and its answer must be that one's."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

ANSWER_PATIENCE_S = 60.0


@dataclass
class Account:
    """What became of the requests."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    """Answers with status 200 that were another request's."""
    unanswered: int = 0
    """The connection ended, or nothing came in time."""
    slowest_s: float = 0.0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def answered(self) -> int:
        return self.statuses.total()


class Pace:
    """When each request is due; without a rate at once."""

    def __init__(self, per_second: float | None, *, seconds: float) -> None:
        self._per_second = per_second
        self._begun = time.monotonic()
        self.until = self._begun + seconds

    async def wait_for(self, number: int) -> None:
        if self._per_second is not None:
            late_s = time.monotonic() - (self._begun + number / self._per_second)
            if late_s < 0:
                await asyncio.sleep(-late_s)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until


async def drive(port: int, *, connections: int, seconds: float, per_second: float | None = None) -> Account:
    """Send requests for so long, and wait for the last answers."""
    account, numbers = Account(), itertools.count(1)
    pace = Pace(per_second, seconds=seconds)
    begun = time.monotonic()
    await asyncio.gather(*(converse(port, account, pace, numbers) for _ in range(connections)))
    account.seconds = time.monotonic() - begun
    return account


async def converse(port: int, account: Account, pace: Pace, numbers: Iterator[int]) -> None:
    """One connection after the other, one request at a time."""
    while not pace.is_over:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while not pace.is_over:
                number = next(numbers)
                await pace.wait_for(number)
                account.sent += 1
                begun = time.monotonic()
                async with asyncio.timeout(ANSWER_PATIENCE_S):
                    await ask(reader, writer, account, number)
                account.slowest_s = max(account.slowest_s, time.monotonic() - begun)
        except (OSError, EOFError, TimeoutError):
            account.unanswered += 1
        finally:
            writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, account: Account, number: int) -> None:
    """One request and its answer. Raises OSError and EOFError where there is none."""
    body = b'{"x": [[%d]]}' % number
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    status, content = await read_answer(reader)
    account.statuses[status] += 1
    if status == 200 and float(content.strip(b"[]")) != number * 2:
        account.wrong += 1


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    _, _, rest = head.lower().partition(b"\r\ncontent-length: ")
    return status, await reader.readexactly(int(rest[: rest.index(b"\r\n")]))

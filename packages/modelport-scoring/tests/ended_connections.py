"""What connections that have ended leave to the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable

from modelport_scoring.http.listener import Listener
from scoring_services import PATIENCE_S

Address = tuple[str, int]


async def left_behind(
    connect: Callable[[], asyncio.Protocol],
    listener: Listener,
    *,
    talk: Callable[[Address], None],
    close: Callable[[], None] = lambda: None,
    tls: ssl.SSLContext | None = None,
    kinds: tuple[type, ...],
) -> list[object]:
    """Serve with what ``connect`` makes, have ten clients ``talk`` one after the other, and ``close``; returns the
    objects of those kinds that are there still, with the collector switched off."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connect, "127.0.0.1", ssl=tls)
    address = server.sockets[0].getsockname()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await loop.run_in_executor(None, talk, address)
        async with asyncio.timeout(PATIENCE_S):
            while len(listener):
                await asyncio.sleep(0.01)
        server.close()
        close()
        await asyncio.sleep(0.1)
        return [each for each in gc.get_objects() if isinstance(each, kinds)]
    finally:
        gc.enable()

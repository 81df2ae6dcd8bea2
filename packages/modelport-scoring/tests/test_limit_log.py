"""What the log says of requests that a limit refused."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelport_scoring.logs.journal import Journal
from modelport_scoring.workers.counted_lines import CountedLines
from scoring_services import Gate, Services, wait_until
from split_services import answering


def test_an_overload_is_one_line_for_each_limit(services: Services, gate: Gate) -> None:
    service = services.start(answering("held", inside=gate.wait), limits={"max_queue_length": 1, "queue_wait_ms": 200})
    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(service.score, "x") for _ in range(6)]
        wait_until(lambda: sum(each.done() for each in asking) == 5, what="one is held, the others are refused")
        gate.open()
        assert sorted(each.result().status for each in asking) == [200, *[503] * 5]
    assert service.log.count("a request was refused: too many wait for a worker (limits.max_queue_length)") == 1
    assert service.log.count("a request was refused: no worker took it in time (limits.queue_wait_ms)") == 1


def test_what_came_meanwhile_is_counted(tmp_path: Path) -> None:
    async def write_five() -> None:
        lines = CountedLines(Journal(tmp_path / "log"), loop=asyncio.get_running_loop(), quiet_s=0.05)
        for _ in range(5):
            lines.write("full")
        while "more" not in (tmp_path / "log").read_text():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(write_five(), 20.0))
    written = [line.partition("] ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert written == ["full", "full (4 more in 0.05 s)"]

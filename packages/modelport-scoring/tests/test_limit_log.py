"""What the log says of requests that a limit refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelport_scoring.logs.journal import Journal
from modelport_scoring.settings.service import Limits
from modelport_scoring.workers.counted_lines import MOST_KINDS, CountedLines
from modelport_scoring.workers.limit_log import LimitLog
from modelport_scoring.workers.ticket import Refusal
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


def test_what_goes_on_is_one_line_in_that_time_and_what_comes_later_is_told_at_once(tmp_path: Path) -> None:
    due: list[Callable[[], None]] = []
    loop = SimpleNamespace(call_later=lambda _, callback, *what: due.append(partial(callback, *what)))
    log = tmp_path / "log"
    lines = CountedLines(Journal(log), loop=cast(Any, loop))

    def written() -> list[str]:
        return [line.partition("] ")[2] for line in log.read_text().splitlines()]

    for number in (3, 2):
        for _ in range(number):
            lines.write("full")
        due.pop()()
    assert written() == ["full", "full (2 more in a second)", "full (2 more in a second)"]
    due.pop()()
    assert due == []
    lines.write("full")
    assert written()[3:] == ["full"]


def test_a_time_limit_is_named_as_the_settings_have_it(tmp_path: Path) -> None:
    loop = SimpleNamespace(call_later=lambda *_: None)
    LimitLog(Journal(tmp_path / "log"), loop=cast(Any, loop)).timed_out()
    assert "run() took too long (limits.scoring_timeout_ms)" in (tmp_path / "log").read_text()
    assert "scoring_timeout_ms" in Limits.__struct_fields__


@pytest.mark.parametrize("limit", ["max_queue_length", "max_queue_bytes", "queue_wait_ms", "max_buffered_bytes"])
def test_each_limit_that_refuses_is_named_as_the_settings_have_it(tmp_path: Path, limit: str) -> None:
    async def refuse() -> None:
        LimitLog(Journal(tmp_path / "log"), loop=asyncio.get_running_loop()).held(limit)

    asyncio.run(refuse())
    assert limit in Limits.__struct_fields__
    assert f"(limits.{limit})" in (tmp_path / "log").read_text()


def test_every_refusal_is_a_limit_or_a_missing_worker(tmp_path: Path) -> None:
    async def refuse() -> None:
        log = LimitLog(Journal(tmp_path / "log"), loop=asyncio.get_running_loop())
        for refusal in Refusal:
            log.refused(refusal)

    asyncio.run(refuse())
    told = re.findall(r"limits\.(\w+)", (tmp_path / "log").read_text())
    assert told == [each.value for each in Refusal if each.value in Limits.__struct_fields__]


def test_lines_without_end_are_told_apart_up_to_a_number(tmp_path: Path) -> None:
    async def write() -> None:
        lines = CountedLines(Journal(tmp_path / "log"), loop=asyncio.get_running_loop())
        for number in range(MOST_KINDS + 10):
            lines.write(f"line {number}")
        lines.write("line 0")

    asyncio.run(write())
    written = [line.partition("] ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert len(written) == MOST_KINDS + 1
    assert written[-2:] == [f"line {MOST_KINDS - 1}", "modelport: more kinds of lines came than are told apart"]

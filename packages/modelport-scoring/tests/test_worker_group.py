"""Workers of a revision whose end comes before their beginning."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring.failures import StartFailed
from modelport_scoring.workers.group import WorkerGroup
from modelport_scoring.workers.launch import Launch


class Nobody:
    """An owner that is told nothing here."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody is to be told {name}")


def test_a_start_after_the_end_fails_and_does_not_wait(tmp_path: Path) -> None:
    """As when a service is stopped while the files of its revision are being prepared."""

    async def start_and_end() -> None:
        launch = Launch(
            command=(sys.executable,), environment={}, cwd=tmp_path, log=tmp_path / "log", start_timeout_s=5
        )
        group = WorkerGroup(launch, size=2, loop=asyncio.get_running_loop(), owner=Nobody())
        starting = asyncio.ensure_future(group.start())
        group.close()
        group.stop_starting()
        await group.end(patience_s=0.0)
        with pytest.raises(StartFailed, match="stopped before it had started"):
            await asyncio.wait_for(starting, 5)

    asyncio.run(start_and_end())

"""Wheels that are kept with a workspace."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelport.usecases.private_wheels import keep_wheel


def test_many_that_keep_the_same_wheel_at_once_all_get_it_whole(tmp_path: Path) -> None:
    content = os.urandom(8 << 20)
    wheel = tmp_path / "mine-1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    workspace = tmp_path / "workspace"

    def keep(_: int) -> bytes:
        keep_wheel(workspace, wheel, exist_ok=True)
        return (workspace / "wheels" / wheel.name).read_bytes()

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert all(seen == content for seen in threads.map(keep, range(8)))
    assert [path.name for path in (workspace / "wheels").iterdir()] == [wheel.name]

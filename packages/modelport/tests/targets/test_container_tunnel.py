"""What is asked of an engine's machine by ssh: by the shell of this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelport.targets.container.tunnel import why_nobody_answers


def test_a_path_is_no_command_of_the_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')  # as the server of the other side
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    mark = tmp_path / "mark"
    for path in (
        f"{tmp_path}/$(touch${{IFS}}{mark})",
        f'{tmp_path}/"; touch {mark}; "',
        f"{tmp_path}/'; touch {mark}; '",
    ):
        said = why_nobody_answers(f"ssh://me@engine{path}")
        assert said == f"on that machine there is no {path}"
        assert not mark.exists()
    (tmp_path / "a socket").touch()
    assert why_nobody_answers(f"ssh://me@engine{tmp_path}/a%20socket").endswith(
        f"nobody listens at {tmp_path}/a socket"
    )

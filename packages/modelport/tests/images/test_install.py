"""Packages that are put into images."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelport.exceptions import EnvironmentException
from modelport.images.install import compile_packages


def test_a_compilation_that_was_killed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "module.py").write_text("VALUE = 1\n")
    (tmp_path / "packages" / "old.py").write_text("print 'Python 2'\n")
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no memory >&2\nkill -9 $$\n")
    program.chmod(0o755)
    with pytest.raises(EnvironmentException, match=r"python ended with -9\. no memory(.|\n)*the memory may be short"):
        compile_packages(tmp_path / "packages", "/opt/x", str(program))
    assert compile_packages(tmp_path / "packages", "/opt/x", sys.executable)
    assert [path.name.split(".")[0] for path in (tmp_path / "packages").rglob("*.pyc")] == ["module"]
    assert not compile_packages(tmp_path / "packages", "/opt/x", None)

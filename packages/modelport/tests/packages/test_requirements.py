"""Locks that name files of this machine, as requirements for another one."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import pytest

from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Silent
from modelport.packages.requirements import ship_requirements

BACKEND = """
import zipfile


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "local_project-1.0-py3-none-any.whl"
    about = "local_project-1.0.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("local_project.py", "VALUE = 1")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\\nName: local-project\\nVersion: 1.0\\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{about}/RECORD", "")
    return name
"""
"""A build tool that needs no index."""


def shipped(folder: Path, *lines: str) -> list[str]:
    return ship_requirements(lines, folder, progress=Silent())


def project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        textwrap.dedent("""
            [project]
            name = "local-project"
            version = "1.0"

            [build-system]
            requires = []
            build-backend = "backend"
            backend-path = ["."]
        """)
    )
    return folder


def test_what_an_index_has_stays_as_it_is(tmp_path: Path) -> None:
    lines = (
        "--index-url https://example.org/simple",
        "numpy==1.16.4",
        "requests[socks]==2.0 ; python_version < '3.8'",
        "tool @ https://example.org/tool.whl --hash=sha256:00",
        "other @ git+https://example.org/other@abc",
    )
    assert shipped(tmp_path, *lines) == [*lines]
    assert list(tmp_path.iterdir()) == []


def test_archives_are_shipped(tmp_path: Path) -> None:
    wheel = tmp_path / "given" / "tool-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    folder = tmp_path / "environment"
    assert shipped(folder, f"tool @ {wheel.as_uri()} --hash=sha256:{digest}", f"{wheel}[extra]") == [
        f"./files/tool-1.0-py3-none-any.whl --hash=sha256:{digest}",
        "./files/tool-1.0-py3-none-any.whl",
    ]
    assert (folder / "files" / wheel.name).read_bytes() == b"a wheel"


@pytest.mark.parametrize("form", ["{uri}  # content 0123", "-e {uri}", "local-project @ {uri}"])
def test_folders_are_built(tmp_path: Path, form: str) -> None:
    source = project(tmp_path / "a project")
    folder = tmp_path / "environment"
    assert shipped(folder, form.format(uri=source.as_uri())) == ["./files/local_project-1.0-py3-none-any.whl"]
    assert [path.name for path in (folder / "files").iterdir()] == ["local_project-1.0-py3-none-any.whl"]


def test_a_folder_that_does_not_build_is_named(tmp_path: Path) -> None:
    source = project(tmp_path / "broken")
    (source / "backend.py").write_text("def build_wheel(*arguments, **options): raise ValueError('no such luck')")
    with pytest.raises(EnvironmentException, match=r"(?s)No wheel can be built of .*broken.*no such luck"):
        shipped(tmp_path / "environment", source.as_uri())


def test_of_a_folder_of_archives_those_that_are_pinned_are_shipped(tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for name in ("mp_one-1.0-py3-none-any.whl", "mp_one-2.0-py3-none-any.whl", "mp-two-3.0.tar.gz", "README.md"):
        (links / name).write_text("")
    folder = tmp_path / "environment"
    lines = shipped(folder, "--no-index", f"--find-links {links}", "mp-one==1.0", "mp-two==3.0")
    assert lines == ["--no-index", "--find-links ./files", "mp-one==1.0", "mp-two==3.0"]
    assert sorted(path.name for path in (folder / "files").iterdir()) == [
        "mp-two-3.0.tar.gz",
        "mp_one-1.0-py3-none-any.whl",
    ]


def test_what_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentException, match=r"names /nowhere/tool\.whl, which is gone"):
        shipped(tmp_path, "/nowhere/tool.whl")

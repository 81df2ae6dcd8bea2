"""What is left out of layers, and what is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from modelport.images.lighten import remove_symbols, remove_tests


def _package(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        path = folder / "pkg" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "pkg"


def test_tests_are_left_out(tmp_path: Path) -> None:
    package = _package(
        tmp_path, core="x = 1", tests__test_core="", sub__tests__test_sub="", sub__tests__data__more="", sub__code=""
    )
    remove_tests(tmp_path)
    assert sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py")) == ["core.py", "sub/code.py"]


@pytest.mark.parametrize(
    "line",
    [
        "from pkg.sub.tests.common import thing",
        "import pkg.sub.tests",
        "from .tests import common",
        "from . import tests",
        "from .tests.common import (\n    thing,\n)",
        "def late():\n    from pkg.sub import tests as t",
    ],
)
def test_those_that_the_package_itself_imports_stay(tmp_path: Path, line: str) -> None:
    package = _package(
        tmp_path, core="", tests__test_core="", sub__code=line, sub__tests__common="", sub__tests__test_sub=""
    )
    remove_tests(tmp_path)
    assert (package / "sub" / "tests" / "common.py").exists()
    assert not (package / "tests").exists()


def test_a_package_that_is_called_so_stays(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_it.py").write_text("")
    _package(tmp_path, test__support="", testing__test_api="")
    remove_tests(tmp_path)
    assert (tmp_path / "test" / "test_it.py").exists()
    assert (tmp_path / "pkg" / "test" / "support.py").exists(), "no test is in it"
    assert (tmp_path / "pkg" / "testing" / "test_api.py").exists()


def test_a_library_without_symbols_is_smaller_and_works(tmp_path: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = subprocess.run(
        [sys.executable, "-c", "import uvloop.loop; print(uvloop.loop.__file__)"], capture_output=True, text=True
    ).stdout.strip()
    assert found.endswith(suffix)
    library = Path(shutil.copyfile(found, tmp_path / f"loop{suffix}"))
    before = library.stat().st_size
    remove_symbols(library)
    assert library.stat().st_size < before
    load = f"import ctypes; ctypes.CDLL({str(library)!r}).PyInit_loop"
    assert subprocess.run([sys.executable, "-c", load]).returncode == 0
    after = library.read_bytes()
    remove_symbols(library)
    assert library.read_bytes() == after, "there is nothing more to take away"


def test_what_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    script = tmp_path / "lib.so"
    script.write_text("INPUT(-lm)")
    remove_symbols(script)
    assert script.read_text() == "INPUT(-lm)"

"""Leaves out what nobody uses in an image: tests of packages, symbols for debuggers, sources of compiled modules."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

_TESTS = frozenset({"test", "tests"})
_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+([\w, \t]*)|import[ \t]+([\w.]+))", re.MULTILINE)
_COMPILED = re.compile(r".*\.so(\.\d+)*")
_SOURCES = frozenset({".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pyi", ".pyx"})
_ELF64_LITTLE = b"\x7fELF\x02\x01"


def remove_tests(packages: Path) -> None:
    """Remove the folders of tests of each package, but for those that its other modules import from."""
    for package in sorted(packages.iterdir()):
        if not package.is_dir() or package.name.endswith((".dist-info", ".libs")):
            continue
        folders = [*_test_folders(package)]
        needed = _imported(package, packages) if folders else set()
        for folder in folders:
            if ".".join(folder.relative_to(packages).parts) not in needed:
                shutil.rmtree(folder)


def _test_folders(folder: Path) -> Iterator[Path]:
    """Folders of that name with modules of tests in them; what lies below one goes with it."""
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.is_symlink():
            continue
        if child.name in _TESTS and any(child.rglob("test_*.py")):
            yield child
        else:
            yield from _test_folders(child)


def _imported(package: Path, packages: Path) -> set[str]:
    """The modules, and what they lie in, that the package's own modules import and that have to do with tests."""
    found: set[str] = set()
    for module in package.rglob("*.py"):
        parts = module.relative_to(packages).parts
        if _TESTS & set(parts) or module.name == "conftest.py":
            continue
        content = module.read_bytes()
        if b"test" in content:
            for name in _imports(content, parts[:-1]):
                words = name.split(".")
                found |= {".".join(words[:end]) for end in range(1, len(words) + 1) if words[end - 1] in _TESTS}
    return found


def _imports(content: bytes, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names of what a module of the package imports."""
    for origin, names, plain in _IMPORT.findall(content):
        if plain:
            yield plain.decode()
            continue
        text = origin.decode()
        rest = text.lstrip(".")
        level = len(text) - len(rest)
        start = [*package[: len(package) - level + 1]] if level else []
        base = [*start, *([rest] if rest else [])]
        yield ".".join(base)
        for name in names.decode().replace("\t", " ").split(","):
            yield ".".join([*base, name.split(" as ")[0].strip()])


def lighten_server(packages: Path) -> None:
    """The packages of the scoring server are ours to cut: they are loaded, never debugged or compiled against."""
    for path in packages.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix in _SOURCES:
            path.unlink()
        elif _COMPILED.fullmatch(path.name):
            remove_symbols(path)


def remove_symbols(library: Path) -> None:
    """Cut the file after the last byte that a program loads: behind it are sections for linkers and debuggers.

    Source of the format: the System V ABI, "Program Header".
    """
    content = library.read_bytes()
    if not content.startswith(_ELF64_LITTLE):
        return
    (start,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    ends = [start + size * count]
    for number in range(count):
        _, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", content, start + number * size)
        ends.append(offset + length)
    kept = bytearray(content[: max(ends)])
    struct.pack_into("<Q", kept, 40, 0)  # where the table of sections is
    struct.pack_into("<HHH", kept, 58, 0, 0, 0)  # the size of its entries, their number, and which one has the names
    library.write_bytes(kept)

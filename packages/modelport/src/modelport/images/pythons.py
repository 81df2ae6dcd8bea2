"""The Pythons of an image: those that its base has, and one that is brought where none fits."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import UserErrorException
from modelport.images.bases import BaseImage, Bases
from modelport.images.elf import wanted_by
from modelport.images.file_tree import FileTree, extract
from modelport.images.image import Platform
from modelport.images.layers import Entry
from modelport.packages.plan import PREFIX

OLDEST_FOR_SERVER = (3, 11)
VARIABLE = "MODELPORT_PYTHON_IMAGE"

_PROGRAM = re.compile(r"(?:(?P<prefix>.*)/)?bin/python(?P<minor>3\.\d+)")
_FIRST = ("usr/local", "usr", "opt")
"""Where the Python lies that is meant, if there are several of a version."""
_LEFT_OUT = frozenset({"__pycache__", "idlelib", "test", "tests", "turtledemo", "site-packages", "dist-packages"})
_LIBRARY = re.compile(r"lib.*\.so(\.\d+)*")
_LIBRARY_FOLDERS = ("lib/{machine}-linux-gnu", "usr/lib/{machine}-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib")


@dataclass(frozen=True)
class ImagePython:
    """A Python of an image; ``program`` is its absolute path there."""

    minor: str
    program: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(number) for number in self.minor.split("."))


def pythons_of(tree: FileTree) -> list[ImagePython]:
    """The Pythons that are installed in the image, the usual places first."""
    found = []
    for path in tree.links:
        program = _PROGRAM.fullmatch(path)
        if program is None or not tree.is_file(path):
            continue
        prefix = program["prefix"] or ""
        if tree.is_file(posixpath.join(prefix, f"lib/python{program['minor']}/os.py")):
            found.append((_rank(prefix), ImagePython(program["minor"], f"/{path}")))
    return [python for _, python in sorted(found, key=lambda each: (each[0], each[1].program))]


def _rank(prefix: str) -> int:
    return next((rank for rank, first in enumerate(_FIRST) if prefix == first), len(_FIRST))


def server_python(tree: FileTree, ours: str) -> ImagePython | None:
    """The one that the scoring server takes: of the same version as here, where it was tested, or the newest."""
    fitting = [python for python in pythons_of(tree) if python.numbers >= OLDEST_FOR_SERVER]
    same = [python for python in fitting if python.minor == ours]
    return next(iter(same or sorted(fitting, key=lambda python: python.numbers, reverse=True)), None)


@dataclass(frozen=True)
class BroughtPython:
    """A Python that a layer brings."""

    python: ImagePython
    source: str
    entries: tuple[Entry, ...]


@contextmanager
def brought(
    minor: str, sources: Sequence[str], *, to: BaseImage, bases: Bases, platform: Platform
) -> Iterator[BroughtPython]:
    """The Python of that version from the first of the sources that has it, with the libraries that the base ``to``
    lacks. The entries' files are there while the block runs.

    Raises UserErrorException where no source has such a Python, or one that cannot run on the base.
    """
    there = []
    for source in sources:
        found = _found(minor, source, bases, platform)
        if isinstance(found, list):
            there.append(f"{source} has {', '.join(found) or 'none'}")
            continue
        with found.unpacked(bases) as (root, prefix):
            yield _bring(minor, source, root, prefix, to, platform)
        return
    raise UserErrorException(
        f"The image needs Python {minor}, which its base {to.name} lacks; {'; '.join(there)}.",
        hint=f"Name an image, or a folder with an installed Python, that has it: --pythons, or {VARIABLE}.",
    )


@dataclass(frozen=True)
class _Source:
    """Where a Python was found: a folder of this machine, or an image."""

    minor: str
    prefix: str
    image: BaseImage | None

    @contextmanager
    def unpacked(self, bases: Bases) -> Iterator[tuple[_Root, Path]]:
        """What its paths are below, and the folder that the Python is installed in."""
        if self.image is None:
            yield _Root(Path("/"), None), Path(self.prefix)
            return
        with tempfile.TemporaryDirectory(prefix="modelport-python-") as name:
            extract(bases.blobs, self.image.layers, _wanted(self.image.tree, self.prefix, self.minor), Path(name))
            yield _Root(Path(name), self.image.tree), Path(name) / self.prefix


def _found(minor: str, source: str, bases: Bases, platform: Platform) -> _Source | list[str]:
    """The Python in the source; where it has none, the versions that it has."""
    folder = Path(source)
    if folder.is_dir() and not (folder / "index.json").exists():
        if platform.is_of_this_machine and (folder / "bin" / f"python{minor}").is_file():
            return _Source(minor, str(folder.resolve()), None)
        return [path.name.removeprefix("python") for path in sorted((folder / "bin").glob("python3.?*[0-9]"))]
    image = bases.read(source, platform)
    pythons = pythons_of(image.tree)
    python = next((each for each in pythons if each.minor == minor), None)
    if python is None:
        return [each.minor for each in pythons]
    return _Source(minor, python.program.rpartition("/bin/")[0].strip("/"), image)


def _wanted(tree: FileTree, prefix: str, minor: str) -> Callable[[str], bool]:
    """Which files of an image a Python may need: its own, and libraries."""
    program = tree.resolve(f"{prefix}/bin/python{minor}")
    library = f"{prefix}/lib/python{minor}/"

    def wanted(path: str) -> bool:
        if path.startswith(library):
            return not _LEFT_OUT & set(path.removeprefix(library).split("/"))
        return path == program or _LIBRARY.fullmatch(posixpath.basename(path)) is not None

    return wanted


@dataclass(frozen=True)
class _Root:
    """Where the files of the source are. With a tree, links in it are absolute in the image."""

    folder: Path
    tree: FileTree | None

    def file(self, path: str) -> Path | None:
        """The file that the path of the source leads to."""
        if self.tree is None:
            found = self.folder / path
            return found.resolve() if found.is_file() else None
        real = self.tree.resolve(path)
        found = self.folder / (real or "")
        return found.resolve() if real and self.holds(found) and found.is_file() else None

    def holds(self, found: Path) -> bool:
        """Whether it lies in the source. Links of an image are followed in its tree: on the disk they may lead to this
        machine's own files."""
        return self.tree is None or found.resolve().is_relative_to(self.folder.resolve())


def _bring(minor: str, source: str, root: _Root, prefix: Path, to: BaseImage, platform: Platform) -> BroughtPython:
    place = f"{PREFIX}/pythons/{minor}"
    inside = prefix.relative_to(root.folder).as_posix()
    program = root.file(f"{inside}/bin/python{minor}")
    library = prefix / "lib" / f"python{minor}"
    if program is None or not root.holds(library):
        raise UserErrorException(f"Python {minor} of {source} is damaged: its files are links that lead out of it.")
    entries = [
        Entry(path=f"{PREFIX}/pythons"),
        Entry(path=place),
        Entry(path=f"{place}/bin"),
        Entry(path=f"{place}/bin/python{minor}", source=program, executable=True),
        Entry(path=f"{place}/lib"),
        *_standard_library(root, library, f"{place}/lib/python{minor}"),
    ]
    libraries = _Libraries(root, inside, place, to, platform)
    libraries.follow([program, *(library / "lib-dynload").glob("*.so")])
    _check_glibc(libraries.glibc, minor, source, to)
    return BroughtPython(ImagePython(minor, f"{place}/bin/python{minor}"), source, (*entries, *libraries.entries))


def _standard_library(root: _Root, folder: Path, place: str) -> Iterator[Entry]:
    yield Entry(path=place)
    for child in sorted(folder.iterdir()):
        path = f"{place}/{child.name}"
        if child.name in _LEFT_OUT or child.name.startswith("config-"):
            continue
        if child.is_symlink():
            file = root.file(child.relative_to(root.folder).as_posix())
            if file is not None:  # Debian has its sitecustomize.py in /etc
                yield Entry(path=path, source=file)
        elif child.is_dir():
            yield from _standard_library(root, child, path)
        else:
            yield Entry(path=path, source=child)


class _Libraries:
    """Collects what programs are linked to and the base lacks."""

    def __init__(self, root: _Root, prefix: str, place: str, to: BaseImage, platform: Platform) -> None:
        self.entries: list[Entry] = []
        self.glibc = (0, 0)
        self._root = root
        self._prefix = prefix
        self._place = place
        self._to = to.tree
        self._folders = [folder.format(machine=platform.machine) for folder in _LIBRARY_FOLDERS]
        self._seen: set[str] = set()
        self._target = next((folder for folder in self._folders if to.tree.has(f"{folder}/libc.so.6")), "usr/lib")

    def follow(self, files: Iterable[Path]) -> None:
        """These files, and what they need."""
        for file in files:
            wanted = wanted_by(file)
            if wanted is None:
                continue
            self.glibc = max(self.glibc, wanted.glibc)
            own = any("$ORIGIN" in folder for folder in wanted.folders)
            for name in wanted.libraries:
                self._library(name, own)

    def _library(self, name: str, own: bool) -> None:
        if name in self._seen or any(self._to.has(f"{folder}/{name}") for folder in (*self._folders, "usr/local/lib")):
            return
        self._seen.add(name)
        beside = self._root.file(f"{self._prefix}/lib/{name}")
        file = beside or next(
            (found for folder in self._folders if (found := self._root.file(f"{folder}/{name}"))), None
        )
        if file is None:
            return  # the loader itself, or a library that the source lacks too
        folder = f"{self._place}/lib" if beside and own else f"/{self._to.resolve(self._target) or self._target}"
        self.entries.append(Entry(path=f"{folder}/{name}", source=file, executable=os.access(file, os.X_OK)))
        self.follow([file])


def _check_glibc(needed: tuple[int, int], minor: str, source: str, to: BaseImage) -> None:
    has = to.tree.glibc
    if has is None:
        raise UserErrorException(
            f"The base {to.name} lacks Python {minor}, and has no GNU C library: no Python can be put on it.",
            hint="Name a base that has this Python, or one of Debian, Ubuntu or Red Hat.",
        )
    if tuple(int(number) for number in has.split(".")) < needed:
        raise UserErrorException(
            f"Python {minor} of {source} needs the GNU C library {needed[0]}.{needed[1]}, and the base {to.name} has "
            f"{has}.",
            hint=f"Name an older image that has Python {minor} (--pythons, {VARIABLE}), or a newer base.",
        )

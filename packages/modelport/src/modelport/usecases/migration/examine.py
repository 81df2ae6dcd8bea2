"""Reads a project, file by file."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath

from modelport.domain.errors import UserErrorException
from modelport.usecases.migration import sources
from modelport.usecases.migration.configuration import ConfigurationReader, is_configuration
from modelport.usecases.migration.findings import CommandVerdict, Finding, Place, Report
from modelport.usecases.migration.names import Names
from modelport.usecases.migration.requirements import in_list, is_requirements
from modelport.usecases.migration.scopes import Scope
from modelport.usecases.migration.scripts import ScriptReader
from modelport.usecases.migration.shell import ShellReader
from modelport.usecases.migration.sources import Code, Sources

_LEFT_OUT = frozenset({"node_modules", "__pycache__", "site-packages", "azureml-models"})
_HIDDEN_BUT_READ = frozenset({".azureml", ".github", ".azure-pipelines", ".pipelines", ".ci"})
_SHELL = (".sh", ".bash", ".ps1", ".cmd", ".bat")
_SHELL_NAMES = ("makefile", "dockerfile", ".gitlab-ci.yml")
_LARGEST = 20 * 1024 * 1024


def examine(root: Path, *, takes: CommandVerdict) -> Report:
    """What the project in the folder (or the file) uses of v1. ``takes`` says which commands there are.

    Raises UserErrorException where there is nothing.
    """
    if not root.exists():
        raise UserErrorException(
            f"There is nothing at {root}.", hint="Name the folder of a project: modelport migrate FOLDER."
        )
    examination = _Examination(root if root.is_dir() else root.parent, takes)
    for file in [root] if root.is_file() else sorted(_files(root)):
        examination.read(file)
    return examination.report()


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in _LEFT_OUT
            and (not name.startswith(".") or name in _HIDDEN_BUT_READ)
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(folder, name) for name in files)


class _Examination:
    """One reading of a project."""

    def __init__(self, root: Path, takes: CommandVerdict) -> None:
        self._root = root
        self._names = Names()
        self._shell = ShellReader(takes)
        self._findings: list[Finding] = []
        self._files: list[str] = []
        self._unread: list[tuple[str, str]] = []
        self._under_way: set[Path] = set()
        self._exports = cache(self._exports_of)

    def read(self, path: Path) -> None:
        """Read one file, if it is of a kind that is read."""
        name = sources.relative(path, self._root)
        if not _is_read(name) or not path.is_file():
            return
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST // 1024**2} MiB")
            text = _text(path)
            found = list(self._found(name, text, path))
        except SyntaxError as error:
            if "azure" in text:  # what has nothing to do with v1 may be of any language
                self._unread.append((name, f"line {error.lineno}: {error.msg}: not Python 3"))
        except (OSError, ValueError) as error:
            self._unread.append((name, str(error)))
        else:
            self._files.append(name)
            self._findings += found

    def report(self) -> Report:
        """What was found."""
        findings = sorted(dict.fromkeys(self._findings), key=lambda finding: finding.place.order)
        return Report(findings=tuple(findings), files=tuple(self._files), unread=tuple(self._unread))

    def _found(self, name: str, text: str, path: Path) -> Iterator[Finding]:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".py":
            yield from self._of_sources(sources.script(name, text), path)
        elif suffix == ".ipynb":
            yield from self._of_sources(sources.notebook(name, text), path)
        elif is_requirements(name):
            yield from in_list(_lines(name, text))
        elif is_configuration(name):
            yield from ConfigurationReader(name, text, self._shell).read()
        else:
            yield from self._shell.read(_lines(name, text))

    def _of_sources(self, found: Sources, path: Path) -> Iterator[Finding]:
        self._unread += [(str(place), f"{reason}: not Python 3") for place, reason in found.unread]
        for code in found.code:
            yield from self._of_code(code, path)
        for written in found.texts:
            yield from self._of_written(written)
        yield from self._shell.read(found.shell)

    def _of_code(self, code: Code, path: Path) -> Iterator[Finding]:
        reader = ScriptReader(code, self._names, lambda module: self._module(module, path))
        try:
            reader.read()
        except SyntaxError as error:
            place = code.place(error.lineno or 1)
            raise SyntaxError(error.msg, (None, place.line, None, None)) from error
        yield from reader.findings
        yield from self._shell.read(reader.commands)

    def _of_written(self, written: Code) -> Iterator[Finding]:
        """A file that a notebook writes: its places are in the notebook."""
        if is_requirements(written.name):
            yield from in_list(zip(written.lines, written.places, strict=True))
        elif is_configuration(written.name):
            for finding in ConfigurationReader(written.name, written.text, self._shell).read():
                yield replace(finding, place=written.place(finding.place.line))
        elif _is_read(written.name):
            yield from self._shell.read(zip(written.lines, written.places, strict=True))

    # --- modules of the project ---------------------------------------------------------------------------------------

    def _module(self, module: str, importer: Path) -> Scope | None:
        parts = module.split(".") if module else []
        for folder in (importer.parent, self._root):
            path = folder.joinpath(*parts).with_suffix(".py") if parts else folder / "__init__.py"
            if path.is_file() and path != importer:
                return self._exports(path)
        return None

    def _exports_of(self, path: Path) -> Scope | None:
        """What the module defines. Modules that import each other in a circle see nothing of each other."""
        if path in self._under_way:
            return None
        self._under_way.add(path)
        try:
            (code,) = sources.script(path.name, _text(path)).code
            reader = ScriptReader(code, self._names, lambda module: self._module(module, path))
            reader.read()
        except (SyntaxError, ValueError, OSError):
            return None  # it is reported where the file itself is read
        finally:
            self._under_way.discard(path)
        return reader.scope


def _text(path: Path) -> str:
    """The text of the file; of a script in the encoding that it names."""
    if path.suffix != ".py":
        return path.read_text(encoding="utf-8-sig")
    try:
        with tokenize.open(path) as file:
            return file.read()
    except SyntaxError as error:
        raise ValueError(str(error)) from error


def _is_read(name: str) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    kinds = (".py", ".ipynb", ".runconfig", *_SHELL)
    return suffix in kinds or is_configuration(name) or is_requirements(name) or path.name.lower() in _SHELL_NAMES


def _lines(name: str, text: str) -> list[tuple[str, Place]]:
    return [(line, Place(file=name, line=number)) for number, line in enumerate(text.splitlines(), start=1)]

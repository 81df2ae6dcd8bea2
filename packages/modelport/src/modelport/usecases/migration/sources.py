"""The code in scripts and notebooks as plain Python, each of its lines knowing where it was written."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.usecases.migration.findings import Place

_MAGIC = re.compile(r"^\s*(%|!)")
_HELP = re.compile(r"^\s*\?{0,2}[\w.]+\?{1,2}\s*$|^\s*\?{1,2}[\w.]+\s*$")
_SHELL_CELLS = ("bash", "sh", "script", "!")
_PYTHON_CELLS = ("time", "timeit", "capture", "prun", "python", "python3")
_ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)([!%].*)$")


@dataclass
class Code:
    """One namespace: a script, or all code cells of a notebook. ``places`` has one place a line."""

    name: str
    """The file, or the file that a cell writes (``%%writefile score.py``)."""
    lines: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def add(self, line: str, place: Place) -> None:
        self.lines.append(line)
        self.places.append(place)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def place(self, line: int) -> Place:
        """Of a line of ``text``, counted from 1."""
        return self.places[min(max(line, 1), len(self.places)) - 1]


@dataclass
class Sources:
    """What a file has for us: code, and lines of a shell."""

    code: list[Code] = field(default_factory=list)
    shell: list[tuple[str, Place]] = field(default_factory=list)
    texts: list[Code] = field(default_factory=list)
    """Files that cells write and that are no scripts."""
    unread: list[tuple[Place, str]] = field(default_factory=list)
    """Cells that are no Python, with the reason: the others are read without them."""


def script(name: str, text: str) -> Sources:
    """A script."""
    code = Code(name)
    for number, line in enumerate(text.splitlines(), start=1):
        code.add(line, Place(file=name, line=number))
    return Sources(code=[code])


def notebook(name: str, text: str) -> Sources:
    """A notebook of format 3 or 4. Raises ValueError where it is none."""
    found = Sources(code=[Code(name)])
    for number, cell in enumerate(_cells(json.loads(text)), start=1):
        if cell.get("cell_type") == "code":
            _read_cell(found, name, number, _text(cell))
    found.code = [code for code in found.code if code.lines]
    return found


def _cells(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, dict):
        raise ValueError("it is no notebook")
    sheets = content.get("worksheets")
    cells = content.get("cells") if sheets is None else [cell for sheet in sheets for cell in sheet.get("cells", [])]
    if not isinstance(cells, list):
        raise ValueError("it has no cells")
    return cells


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(source) if isinstance(source, list) else str(source)


def _read_cell(found: Sources, name: str, number: int, text: str) -> None:
    def place(line: int) -> Place:
        return Place(file=name, cell=number, line=line)

    lines = text.splitlines()
    first = next((index for index, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return
    magic = lines[first].strip()
    if not magic.startswith("%%"):
        _read_lines(found, lines, place)
        return
    word, _, rest = magic[2:].partition(" ")
    body = [(line, place(index)) for index, line in enumerate(lines[first + 1 :], start=first + 2)]
    if word in ("writefile", "file"):
        _written(found, rest.replace("-a ", "").strip().strip("\"'"), body)
    elif word in _SHELL_CELLS:
        found.shell += body
    elif word in _PYTHON_CELLS:
        _read_lines(found, [""] * (first + 1) + lines[first + 1 :], place)


def _written(found: Sources, file: str, body: list[tuple[str, Place]]) -> None:
    code = Code(file)
    for line, place in body:
        code.add(line, place)
    (found.code if file.endswith(".py") else found.texts).append(code)


def _read_lines(found: Sources, lines: list[str], place: Callable[[int], Place]) -> None:
    plain = list(_without_magics(found, lines, place))
    try:
        ast.parse("\n".join(line for _, line in plain))
    except SyntaxError as error:
        found.unread.append((place(error.lineno or 1), error.msg))
        return
    for index, line in plain:
        found.code[0].add(line, place(index))


def _without_magics(found: Sources, lines: list[str], place: Callable[[int], Place]) -> Iterator[tuple[int, str]]:
    """Shell lines go where they belong; other magics become ``pass``, so that the rest stays Python."""
    going_on = False
    for index, line in enumerate(lines, start=1):
        assigned = _ASSIGNED_MAGIC.match(line)
        if going_on:
            found.shell.append((line, place(index)))
            going_on = line.rstrip().endswith("\\")
            yield index, ""
        elif _HELP.match(line):
            yield index, ""
        elif assigned or _MAGIC.match(line):
            text = (assigned[2] if assigned else line).strip()
            if text.startswith(("!", "%pip", "%conda")):
                found.shell.append((text.lstrip("!%"), place(index)))
                going_on = text.endswith("\\")
            indent = line[: len(line) - len(line.lstrip())]
            yield index, f"{assigned[1]}None" if assigned else f"{indent}pass"
        else:
            yield index, line


def relative(path: Path, root: Path) -> str:
    """The file's name in a report."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

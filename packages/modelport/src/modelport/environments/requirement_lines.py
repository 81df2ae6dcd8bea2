"""Reads a pip list: its lines, the files that its lines name, and what each line is.

The list stays as the user wrote it; what is made here is for the installer: included files are put in where they are
named, and paths are absolute, so that the installer may run anywhere and a complaint about a line leads back to the
file and line that the user knows. Source of the format: pip's reference, "Requirements File Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from modelport.domain.environments import CondaSpecification
from modelport.domain.errors import EnvironmentException
from modelport.environments.azureml_packages import is_azureml
from modelport.environments.specification import line_of_entry, read_text
from modelport.environments.uv import without_credentials

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*])?\s*(?=$|[<>=!~;@#(\s])")
_OPTION = re.compile(r"\s*(-[A-Za-z](?=\S*)|--[a-z-]+)(?:\s*=\s*|\s+|(?<=-[a-zA-Z]))?(.*)$", re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_EDITABLE = ("-e", "--editable")
_INDEX_OPTIONS = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--no-binary",
    "--only-binary",
)
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar")


@dataclass(frozen=True, kw_only=True)
class RequirementLine:
    """One line for the installer, and where the user wrote it."""

    text: str
    """Without comment; paths are absolute."""
    written: str
    """As the user wrote it."""
    place: str
    """``file:line``, or the entry's number in the pip list where there is no file."""
    name: str | None = None
    """The package, in its normal form; None for options and for paths and URLs without a name."""
    local: Path | None = None
    """The file or folder that the line names, if it names one."""
    constraint: bool = False

    @property
    def shown(self) -> str:
        """As the user wrote it, for messages: without the user names and passwords of its URLs."""
        return without_credentials(self.written.strip())

    @property
    def is_option(self) -> bool:
        return self.text.startswith("-") and not self.is_editable

    @property
    def is_editable(self) -> bool:
        return self.text.startswith("-e ")

    @property
    def is_azureml(self) -> bool:
        """It is one of the packages that are never fetched."""
        return is_azureml(self.name)


def package_name(requirement: str) -> str | None:
    """The normal form of the name in ``Scikit_Learn[x]>=1``; None for an option, a comment, a path or a URL."""
    match = _NAME.match(requirement)
    return normalised(match[1]) if match and not _is_path(requirement.strip()) else None


def normalised(name: str) -> str:
    """The form in which two spellings of a package's name are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines_of(specification: CondaSpecification) -> list[RequirementLine]:
    """The pip list for the installer.

    Raises EnvironmentException where a file that it names is missing, or includes itself.
    """
    source = Path(specification.source) if specification.source else None
    base = source.absolute().parent if source else Path.cwd()
    return [
        line
        for number, entry in joined_lines(specification.pip)
        for line in _expand(
            entry, base=base, place=_place(specification.pip, source, number), seen=(), constraint=False
        )
    ]


def _place(entries: Sequence[str], source: Path | None, number: int) -> str:
    line = line_of_entry(source, entries[number - 1]) if source else None
    return f"{source}:{line}" if line else f"entry {number} of the pip list"


def _expand(entry: str, *, base: Path, place: str, seen: Sequence[Path], constraint: bool) -> Iterator[RequirementLine]:
    text = _COMMENT.sub("", entry).strip()
    if not text:
        return
    option = _OPTION.match(text)
    if option and option[1] in _INCLUDES:
        included = (base / option[2].strip()).resolve()
        yield from _included(included, place=place, seen=seen, constraint=constraint or _INCLUDES[option[1]] == "-c")
    elif option and option[1] in _EDITABLE:
        yield _path_line(option[2].strip(), entry, base=base, place=place, prefix="-e ")
    elif option:
        yield RequirementLine(text=_absolute_option(option[1], option[2], base), written=entry, place=place)
    elif _is_path(text):
        yield _path_line(text, entry, base=base, place=place)
    else:
        yield _named_line(text, entry, base=base, place=place, constraint=constraint)


def _included(file: Path, *, place: str, seen: Sequence[Path], constraint: bool) -> Iterator[RequirementLine]:
    if file in seen:
        raise EnvironmentException(f"{place}: {file} includes itself.", hint="Remove one of the -r lines.")
    if not file.is_file():
        raise EnvironmentException(
            f"{place}: the requirements file {file} does not exist.",
            hint="The path is taken from the folder of the file that names it.",
        )
    for number, line in joined_lines(read_text(file).splitlines()):
        yield from _expand(line, base=file.parent, place=f"{file}:{number}", seen=(*seen, file), constraint=constraint)


def joined_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; a line that ends in a backslash, and is no comment, goes on in the next one."""
    held, start = "", 0
    for number, line in enumerate(lines, start=1):
        start = start if held else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            held += line[:-1] + " "
            continue
        yield start, held + line
        held = ""
    if held:
        yield start, held


def _absolute_option(name: str, value: str, base: Path) -> str:
    value = value.strip()
    if name in ("-f", "--find-links") and "://" not in value:
        value = str((base / value).resolve())
    return f"{name} {value}".strip()


def _is_path(text: str) -> bool:
    target = text.split(";")[0].split("#")[0].strip()
    if "://" in target.split("@")[0] or re.match(r"[A-Za-z0-9._-]+(\[[^]]*])?\s*@", target):
        return False
    target = target.split("[")[0].split(" --")[0].strip()
    return target.startswith((".", "/", "~", "file:")) or "/" in target or target.endswith(_ARCHIVES)


def _path_line(text: str, entry: str, *, base: Path, place: str, prefix: str = "") -> RequirementLine:
    text = unquote(re.sub(r"^file:(//)?", "", text)) if text.startswith("file:") else text
    if "://" in text or text.startswith("git+"):
        return RequirementLine(text=prefix + text, written=entry, place=place)
    target, extras, rest = re.match(r"([^\[;#]+)(\[[^]]*])?(.*)$", text, re.DOTALL).groups("")  # type: ignore[union-attr]
    path = (base / Path(target.strip()).expanduser()).resolve()
    if not path.exists():
        raise EnvironmentException(
            f"{place}: {without_credentials(entry.strip())!r} names {path}, which does not exist.",
            hint="A path is taken from the folder of the file that names it.",
        )
    text = f"{prefix}{path}{extras}{' ' if rest else ''}{rest.strip()}"
    return RequirementLine(text=text, written=entry, place=place, local=path)


def _named_line(text: str, entry: str, *, base: Path, place: str, constraint: bool) -> RequirementLine:
    local = re.search(r"@\s*(file://\S+|[./~][^;#\s]*)", text)
    if local is None:
        return RequirementLine(text=text, written=entry, place=place, name=package_name(text), constraint=constraint)
    line = _path_line(local[1], entry, base=base, place=place)
    text = f"{text[: local.start()].strip()} @ {line.local.as_uri() if line.local else ''}{text[local.end() :]}"
    return RequirementLine(text=text, written=entry, place=place, name=package_name(text), local=line.local)


def index_options(lines: Iterable[RequirementLine]) -> list[str]:
    """The options among the lines that say where packages come from, each once."""
    wanted = [line.text for line in lines if line.is_option and line.text.split()[0] in _INDEX_OPTIONS]
    return list(dict.fromkeys(wanted))

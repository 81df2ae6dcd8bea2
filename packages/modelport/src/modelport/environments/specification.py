"""Conda environment files and pip requirements files: read into the domain, and written back.

Sources of the formats: conda's user guide, "Creating an environment file manually"; azureml-v1 reference, 2.4 and 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from modelport.domain.environments import CondaSpecification
from modelport.domain.errors import UserErrorException


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises FileNotFoundError, and UserErrorException where the file cannot be read as text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"No such file: {file.absolute()}") from None
    except UnicodeDecodeError as error:
        message = f"{file} is not text in UTF-8: byte {error.start} cannot be read."
        raise UserErrorException(message, hint="Save the file as UTF-8.") from error
    except OSError as error:
        raise UserErrorException(f"{file} cannot be read: {error.strerror}.") from error


def read_conda_file(path: str | Path) -> CondaSpecification:
    """The conda environment file at ``path``. Raises FileNotFoundError, and UserErrorException naming file and line."""
    return parse_conda(read_text(Path(path)), source=str(path))


def parse_conda(text: str, *, source: str | None = None) -> CondaSpecification:
    """The conda environment file with that text. Raises UserErrorException naming ``source`` and the line."""
    where = source or "the conda specification"
    try:
        content = yaml.safe_load(text.removeprefix("\ufeff"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"{where}:{mark.line + 1 if mark else 1}: this is not valid YAML: {error.problem or error.context}."
        hint = "Indent with spaces, and put '- ' before every dependency."
        raise UserErrorException(message, hint=hint) from error
    except yaml.YAMLError as error:
        raise UserErrorException(f"{where}: this is not valid YAML: {error}") from error
    return replace(conda_from_json(content, where=where, lines=_Lines(text)), source=source)


def conda_from_json(content: object, *, where: str, lines: _Lines | None = None) -> CondaSpecification:
    """The structure of a conda environment file. Keys that are not known are passed over.

    Raises UserErrorException, saying ``where``.
    """
    reader = _Reader(where, lines or _Lines(""))
    table = reader.table(content)
    packages: list[str] = []
    pip: list[str] = []
    for entry in reader.entries(table, "dependencies"):
        if isinstance(entry, Mapping):
            pip += reader.pip_list(entry)
        else:
            packages.append(reader.word(entry, "dependencies"))
    channels = [reader.word(channel, "channels") for channel in reader.entries(table, "channels")]
    name = table.get("name")
    return CondaSpecification(
        name=None if name is None else str(name), channels=tuple(channels), packages=tuple(packages), pip=tuple(pip)
    )


def conda_to_json(conda: CondaSpecification) -> dict[str, Any]:
    """The structure of a conda environment file."""
    dependencies: list[Any] = list(conda.packages)
    if conda.pip:
        dependencies.append({"pip": list(conda.pip)})
    named = {} if conda.name is None else {"name": conda.name}
    channels = {"channels": list(conda.channels)} if conda.channels else {}
    return {**named, **channels, "dependencies": dependencies}


def conda_to_yaml(conda: CondaSpecification) -> str:
    """The text of a conda environment file."""
    return yaml.safe_dump(conda_to_json(conda), sort_keys=False, allow_unicode=True, width=10_000)


def read_requirements(path: str | Path) -> tuple[str, ...]:
    """The lines of a pip requirements file, verbatim. Raises FileNotFoundError and UserErrorException."""
    return tuple(read_text(Path(path)).splitlines())


def line_of_entry(file: Path, entry: str) -> int | None:
    """The line on which ``file``, a conda environment file or a requirements file, has that entry; None if nowhere."""
    try:
        text = read_text(file)
    except (FileNotFoundError, UserErrorException):
        return None
    if file.suffix.lower() in (".yml", ".yaml"):
        return _Lines(text).of(entry)
    return next((number for number, line in enumerate(text.splitlines(), start=1) if line == entry), None)


def place_of(conda: CondaSpecification, spec: str) -> str:
    """Where a conda package was asked for: file and line, where there is a file."""
    line = line_of_entry(Path(conda.source), spec) if conda.source else None
    return f"{conda.source}:{line}" if line else "the conda packages"


class _Lines:
    """Finds the line of a value in a YAML text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, value: object) -> int | None:
        try:
            events = list(yaml.parse(self._text, Loader=yaml.SafeLoader))
        except yaml.YAMLError:
            return None
        for event in events:
            if isinstance(event, yaml.ScalarEvent) and event.value == str(value) and event.start_mark:
                return event.start_mark.line + 1
        return None


class _Reader:
    """Checks the types of what a conda environment file holds."""

    def __init__(self, where: str, lines: _Lines) -> None:
        self._where = where
        self._lines = lines

    def table(self, content: object) -> Mapping[str, object]:
        if content is None:
            return {}
        if not isinstance(content, Mapping):
            raise self._error("it must hold keys such as 'channels:' and 'dependencies:'", content)
        return content

    def entries(self, table: Mapping[str, object], key: str) -> Sequence[object]:
        value = table.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._error(f"'{key}' must be a list, each entry after '- '", key)
        return value

    def pip_list(self, entry: Mapping[str, object]) -> list[str]:
        unknown = [key for key in entry if key != "pip"]
        if unknown:
            raise self._error(
                f"'{unknown[0]}:' among the dependencies is not understood; only 'pip:' may have a list", unknown[0]
            )
        return [self.word(line, "pip") for line in self.entries(entry, "pip")]

    def word(self, value: object, key: str) -> str:
        if not isinstance(value, str):
            shown = "an empty entry" if value is None else repr(value)
            raise self._error(f"every entry of '{key}' must be text, and {shown} is not", value)
        return value

    def _error(self, problem: str, value: object) -> UserErrorException:
        line = self._lines.of(value) if isinstance(value, str | int | float) else None
        return UserErrorException(f"{self._where}{f':{line}' if line else ''}: {problem}.")

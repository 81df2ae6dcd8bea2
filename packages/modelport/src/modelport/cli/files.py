"""Files that commands read: JSON or YAML, with or without a byte-order mark (azureml-v1 reference: 3, 4.2 to 4.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modelport.domain.errors import UserErrorException


def read_document(path: Path, *, flag: str) -> dict[str, Any]:
    """The object in the file. Raises UserErrorException, with the line, where it is neither JSON nor YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserErrorException(
            f"Cannot read the file {str(path)!r} of {flag}: {error.strerror}.",
            hint=f"The path is relative to the folder you are in, {Path.cwd()}.",
        ) from error
    except UnicodeDecodeError as error:
        raise UserErrorException(f"The file {str(path)!r} of {flag} is not text in UTF-8: {error}.") from error
    document = _parsed(text, path, flag)
    if not isinstance(document, dict):
        raise UserErrorException(f"Error parsing {flag} {str(path)!r}: it must hold an object with keys and values.")
    return {str(key): value for key, value in document.items()}


def _parsed(text: str, path: Path, flag: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as json_error:
        if text.lstrip().startswith(("{", "[")):
            raise _invalid(path, flag, json_error.lineno, f"as JSON: {json_error.msg}") from json_error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as yaml_error:
        mark = getattr(yaml_error, "problem_mark", None)
        problem = getattr(yaml_error, "problem", None) or str(yaml_error)
        raise _invalid(path, flag, mark.line + 1 if mark else None, f"as YAML: {problem}") from yaml_error


def _invalid(path: Path, flag: str, line: int | None, what: str) -> UserErrorException:
    where = f"{path}, line {line}" if line else str(path)
    return UserErrorException(f"Error parsing {flag}, must be valid JSON or YAML ({where}; read {what}).")


class Keys:
    """An object of a configuration file whose keys are taken one by one, in any capitalisation.

    What was not taken at the end is what nobody knows: tolerated, and said.
    """

    def __init__(self, document: Mapping[str, Any], *, where: str) -> None:
        self._values = {key.lower(): (key, value) for key, value in document.items()}
        self._where = where

    def text(self, key: str) -> str | None:
        """The text; None where it is missing, null or empty."""
        value = self._take(key)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise self._wrong(key, "text", value)
        return str(value)

    def whole(self, key: str) -> int | None:
        """A whole number; digits as text count too."""
        value = self._take(key)
        if isinstance(value, str) and value.strip().isdigit():
            return int(value)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._wrong(key, "a whole number", value)
        return value

    def number(self, key: str) -> float | None:
        """A number; one as text counts too."""
        value = self._take(key)
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                raise self._wrong(key, "a number", value) from None
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self._wrong(key, "a number", value)
        return value

    def truth(self, key: str) -> bool | None:
        """True or false; the words in quotes count too."""
        value = self._take(key)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def table(self, key: str) -> dict[str, Any]:
        """An object; empty where it is missing or null."""
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(key, "an object", value)
        return value or {}

    def switch_or_table(self, key: str) -> bool | int | dict[str, Any] | None:
        """True, false, a whole number or an object; words in quotes count too."""
        value = self._take(key)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, str) and value.strip().isdigit():
            return int(value)
        if value is not None and not isinstance(value, bool | int | dict):
            raise self._wrong(key, "true, false, a whole number or an object", value)
        return value

    def lines(self, key: str) -> list[str] | str | None:
        """A list of texts, or one text."""
        value = self._take(key)
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            return value
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a text or a list of texts", value)
        return value

    def texts(self, key: str) -> dict[str, str]:
        """An object of texts."""
        return {str(name): str(value) for name, value in self.table(key).items()}

    def drop(self, *keys: str) -> None:
        """Keys that are known and mean nothing."""
        for key in keys:
            self._take(key)

    def rest(self) -> list[str]:
        """The keys that were not taken, as they are written."""
        return [key for key, _ in self._values.values()]

    def _take(self, key: str) -> Any:
        return self._values.pop(key.lower(), (key, None))[1]

    def _wrong(self, key: str, wanted: str, value: object) -> UserErrorException:
        return UserErrorException(f"{self._where}: {key!r} must be {wanted}, not {value!r}.")


def read_model_id(path: Path) -> str:
    """The model that ``model register -t`` wrote down."""
    flag = "--model-metadata-file"
    keys = Keys(read_document(path, flag=flag), where=str(path))
    model_id = keys.text("modelId")
    if model_id is None:
        raise UserErrorException(
            f"{path}: 'modelId' is missing.", hint="Write the file with: modelport model register … -t FILE."
        )
    return model_id


def read_run(path: Path) -> tuple[str | None, str | None]:
    """Run id and experiment name of a run metadata file."""
    keys = Keys(read_document(path, flag="--run-metadata-file"), where=str(path))
    return keys.text("runId"), keys.text("experimentName") or keys.text("experiment_name")

"""Small answers kept on disk, each in a file of its own."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from modelport.domain.errors import EnvironmentException


class DiskCache:
    """Answers by key. Any number of processes may share one: a file is written aside and renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer; None where there is none, or where the file is damaged."""
        try:
            content = json.loads(self._file(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep the answer. Raises EnvironmentException where the folder cannot be written to."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(answer, file)
            Path(name).replace(self._file(key))
        except OSError as error:
            raise EnvironmentException(f"{self._folder} cannot be written to: {error.strerror}.") from error

    def remove(self, key: str) -> None:
        """Forget the answer, if there is one."""
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

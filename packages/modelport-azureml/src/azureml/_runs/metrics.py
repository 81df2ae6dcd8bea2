"""The metrics of a run: a line of JSON for each call of ``log``, appended, so that any process may log at any time."""

import errno
import json
import os
from typing import Any, Dict, Iterator, List, Optional

from azureml._runs.moments import now

SCALAR, LIST, ROW, TABLE, IMAGE, ARTIFACT = "scalar", "list", "row", "table", "image", "artifact"
"""What was logged: a value, a list, one row of a table, a whole table, or a file of the run that shows something."""


class MetricLog:
    """The file of the metrics."""

    def __init__(self, path: str) -> None:
        self._path = path

    def append(
        self, kind: str, name: str, value: Any, *, description: Optional[str] = "", step: Optional[int] = None
    ) -> None:
        """Add what was logged. One call is one write, so lines of several processes never mix."""
        entry: Dict[str, Any] = {"name": name, "kind": kind, "value": value, "time": now()}
        if description:
            entry["description"] = description
        if step is not None:
            entry["step"] = step
        # The line break before it ends what a writer that was killed has left half written.
        line = ("\n" + json.dumps(entry) + "\n").encode("utf-8")
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
        if written < len(line):
            raise OSError(errno.ENOSPC, "The metric {!r} was not written whole".format(name), self._path)

    def entries(self) -> Iterator[Dict[str, Any]]:
        """What was logged, in order. A line that is not whole is passed over: its writer was killed, or is at it."""
        if not os.path.exists(self._path):
            return
        with open(self._path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.strip():
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue
                    yield entry

    def values(self, name: Optional[str] = None) -> Dict[str, Any]:
        """The metrics by name (or only that one): see ``collapse``."""
        by_name: Dict[str, List[Dict[str, Any]]] = {}
        for entry in self.entries():
            if name is None or entry["name"] == name:
                by_name.setdefault(entry["name"], []).append(entry)
        return {each: collapse(entries) for each, entries in by_name.items()}


def collapse(entries: List[Dict[str, Any]]) -> Any:
    """All that was logged under one name as one value, as v1's ``get_metrics`` gave it.

    A value that was logged once is itself, and a list where ``log`` was repeated; lists follow one another; rows and
    tables become a dictionary of columns.
    """
    kinds = {entry["kind"] for entry in entries}
    values = [entry["value"] for entry in entries]
    if kinds == {LIST}:
        return [each for value in values for each in value]
    if kinds and kinds <= {ROW, TABLE}:
        return _columns(values)
    return values[0] if len(values) == 1 else values


def _columns(rows: List[Dict[str, Any]]) -> Dict[str, Any]:
    columns: Dict[str, Any] = {}
    for row in rows:
        for key, value in row.items():
            columns[key] = _listed(columns[key]) + _listed(value) if key in columns else value
    return columns


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]

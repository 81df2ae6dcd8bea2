"""A table as the text of a CSV file."""

import base64
import csv
import io
import json
from typing import Any

from azureml.monitoring._rows import Table


def csv_text(table: Table, *, header: bool) -> str:
    """The rows, and the names above them where the header is wanted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(table.names)
    more = [_cell(value) for value in table.more]
    writer.writerows([[_cell(value) for value in row] + more for row in table.rows])
    return out.getvalue()


def header_text(table: Table) -> str:
    """The first line."""
    return csv_text(Table(table.names, [], []), header=True)


def _cell(value: Any) -> Any:
    """What the writer puts down as it is, or the text that stands for the value."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=str)
    return str(value)

"""The requests that a profile sends: the rows of a data set, or one text (azureml-v1 reference, 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from azureml._data.datasets import TabularDataset
from azureml._data.paths import files_of
from azureml._data.reading import lines_of, nothing_there
from azureml._data.types import PromoteHeadersBehavior
from modelport.domain.errors import UserErrorException, WebserviceException

TIMES = 100
"""How often a single text is sent: v1's documents made a data set of so many rows of it."""


def request_rows(given: object) -> tuple[list[str], str | None]:
    """The bodies of the requests, and the id of the data set. A text is one body, sent many times.

    Raises WebserviceException for what is neither a text nor a data set with one column; UserErrorException where its
    files cannot be read.
    """
    if isinstance(given, str | bytes):
        text = given.decode("utf-8") if isinstance(given, bytes) else given
        return [text] * TIMES, None
    if not isinstance(given, TabularDataset):
        raise WebserviceException(
            f"input_dataset must be a tabular data set with one column, or a text; it is a {type(given).__name__}.",
            hint="Of a file with a request in each line, one is made by Dataset.Tabular.from_delimited_files(path, "
            "separator='\\n', header=PromoteHeadersBehavior.NO_HEADERS).",
        )
    return [*_rows(given)], given.id


def _rows(dataset: TabularDataset) -> Iterator[str]:
    definition = dataset._definition
    options = definition["options"]
    if definition["format"] == "delimited" and options["separator"] == "\n" and not definition["steps"]:
        yield from _lines(definition, PromoteHeadersBehavior(options["header"]))
        return
    frame = dataset.to_pandas_dataframe()
    if len(frame.columns) != 1:
        raise WebserviceException(
            f"The input data set has {len(frame.columns)} columns ({', '.join(map(str, frame.columns))}): it must have "
            "one, with the body of a request in each row.",
            hint="dataset.keep_columns(['name']) keeps one.",
        )
    yield from (str(value) for value in frame.iloc[:, 0])


def _lines(definition: dict[str, Any], headers: PromoteHeadersBehavior) -> Iterator[str]:
    """Lines are rows as they are: what a reader of tables takes for quotes, or for a number, is part of a request."""
    files = [path for path, _ in files_of(definition["places"])]
    if not files:
        raise UserErrorException(nothing_there(definition))
    for index, path in enumerate(files):
        try:
            lines = lines_of(path, definition["options"]["encoding"])
        except (OSError, UnicodeDecodeError) as error:
            raise UserErrorException(f"The input data set cannot be read: {path}: {error}.") from error
        yield from lines[1:] if headers.in_file(index) else lines

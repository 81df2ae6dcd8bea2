"""A table from files, with the pandas of the environment that asks for it."""

import importlib
import random
import re
from typing import Any, Callable, Dict, List

from azureml._data.errors import execution_error
from azureml._data.paths import described, files_of
from azureml._data.types import PromoteHeadersBehavior
from azureml._errors import user_error

_ENCODINGS = {
    "utf8": "utf-8",
    "utf8bom": "utf-8-sig",
    "utf16": "utf-16",
    "utf32": "utf-32",
    "iso88591": "iso-8859-1",
    "latin1": "latin-1",
    "ascii": "ascii",
    "windows1252": "cp1252",
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_SAMPLED = 200
"""So many values of a column are looked at before all of them are read as dates."""


def pandas() -> Any:
    """The module. Raises UserErrorException where this environment has none."""
    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise user_error(
            "A data frame needs pandas, and this Python has none ({}). Add pandas to the environment.".format(error)
        )


def read_table(definition: Dict[str, Any], *, on_error: str = "null") -> Any:
    """The data frame that a data set's definition says. Raises UserErrorException where there are no files, or where
    ``on_error`` is ``fail`` and a value is not of its column's type."""
    files = [path for path, _ in files_of(definition["places"])]
    if not files:
        raise execution_error(nothing_there(definition))
    read = _READERS[definition["format"]]
    frame = read(files, definition["options"], on_error)
    for step in definition["steps"]:
        frame = _STEPS[step[0]](frame, *step[1:])
    return frame


def nothing_there(definition: Dict[str, Any]) -> str:
    """What v1 said, and where was looked."""
    return (
        "Cannot load any data from the specified path. Make sure the path is accessible and contains data. Looked for "
        "{}.".format(described(definition["places"]))
    )


# --- formats ----------------------------------------------------------------------------------------------------------


def _read_delimited(files: List[str], options: Dict[str, Any], on_error: str) -> Any:
    pd = pandas()
    frames = []
    columns: List[str] = []
    for index, path in enumerate(files):
        has_header = PromoteHeadersBehavior(options["header"]).in_file(index)
        if options["separator"] == "\n":
            frame = _lines_as_table(path, options, has_header)
        else:
            frame = pd.read_csv(
                path,
                sep=options["separator"],
                header=0 if has_header else None,
                encoding=_ENCODINGS.get(options["encoding"], options["encoding"]),
                dtype=None if options["infer_column_types"] and not options["types"] else str,
                keep_default_na=not options["empty_as_string"],
                skipinitialspace=False,
            )
        if not has_header:
            frame.columns = columns or ["Column{}".format(number + 1) for number in range(frame.shape[1])]
        columns = list(frame.columns)
        frames.append(_with_path(frame, path, options))
    whole = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True, sort=False)
    return _typed(whole, options, on_error)


def lines_of(path: str, encoding: str) -> List[str]:
    """The lines of a file that are not empty, each as it is. Raises OSError, UnicodeDecodeError."""
    with open(path, encoding=_ENCODINGS.get(encoding, encoding)) as file:
        return [line for line in file.read().split("\n") if line.strip()]


def _lines_as_table(path: str, options: Dict[str, Any], has_header: bool) -> Any:
    """A column of lines: pandas takes no line feed for a separator, and would take quotes away."""
    lines = lines_of(path, options["encoding"])
    column = lines.pop(0) if has_header and lines else 0
    return pandas().DataFrame({column: lines})


def _read_parquet(files: List[str], options: Dict[str, Any], on_error: str) -> Any:
    pd = pandas()
    frames = [_with_path(pd.read_parquet(path), path, options) for path in files]
    return _typed(pd.concat(frames, ignore_index=True, sort=False), options, on_error)


def _read_json_lines(files: List[str], options: Dict[str, Any], on_error: str) -> Any:
    pd = pandas()
    encoding = _ENCODINGS.get(options["encoding"], options["encoding"])
    frames = [_with_path(pd.read_json(path, lines=True, encoding=encoding), path, options) for path in files]
    return _typed(pd.concat(frames, ignore_index=True, sort=False), options, on_error)


def _with_path(frame: Any, path: str, options: Dict[str, Any]) -> Any:
    if options["include_path"]:
        frame.insert(0, "Path", path)
    return frame


# --- types of columns -------------------------------------------------------------------------------------------------


def _typed(frame: Any, options: Dict[str, Any], on_error: str) -> Any:
    pd = pandas()
    types = options["types"]
    for column, wanted in types.items():
        if column not in frame.columns:
            raise user_error(
                "There is no column {!r}; there are: {}.".format(column, ", ".join(map(str, frame.columns)))
            )
        frame[column] = _converted(frame[column], wanted, on_error)
    if not options["infer_column_types"]:
        return frame
    for column in frame.columns:
        if column in types or not pd.api.types.is_string_dtype(frame[column]):  # which objects are too
            continue
        if types:  # everything was read as text, so that the columns above keep theirs
            frame[column] = _inferred(frame[column])
        if _are_dates(frame[column]):
            frame[column] = pd.to_datetime(frame[column], errors="coerce")
    return frame


def _inferred(texts: Any) -> Any:
    """Numbers and claims, where all values are such."""
    pd = pandas()
    try:
        return pd.to_numeric(texts)
    except (ValueError, TypeError):
        pass
    present = texts.dropna()
    if len(present) and present.isin(["True", "False", "true", "false", "TRUE", "FALSE"]).all():
        return _claims(texts)
    return texts


def _are_dates(values: Any) -> bool:
    present = values.dropna()
    if not len(present):
        return False
    first = present.iloc[:_SAMPLED]
    return all(isinstance(value, str) and _DATE.fullmatch(value) for value in first) and all(
        isinstance(value, str) and _DATE.fullmatch(value) for value in present
    )


def _claims(texts: Any) -> Any:
    claims = texts.map(lambda text: {"true": True, "false": False}.get(str(text).strip().lower()))
    return claims.astype(bool) if not claims.isnull().any() else claims


def _converted(values: Any, wanted: Dict[str, Any], on_error: str) -> Any:
    pd = pandas()
    errors = "raise" if on_error == "fail" else "coerce"
    kind = wanted["kind"]
    try:
        if kind == "datetime":
            return _dates(values, wanted["formats"], errors)
        if kind == "bool":
            return _claims(values)
        if kind in ("long", "float"):
            numbers = pd.to_numeric(values, errors=errors)
            whole = kind == "long" and not numbers.isnull().any()
            return numbers.astype("int64") if whole else numbers.astype("float64")
    except (ValueError, TypeError) as error:
        raise user_error("The column {!r} is not of type {}: {}.".format(values.name, kind, error))
    return values.where(values.isnull(), values.astype(str))


def _dates(values: Any, formats: Any, errors: str) -> Any:
    pd = pandas()
    if not formats:
        return pd.to_datetime(values, errors=errors)
    dates = pd.to_datetime(values, format=formats[0], errors="coerce")
    for each in formats[1:]:
        dates = dates.fillna(pd.to_datetime(values, format=each, errors="coerce"))
    if errors == "raise" and (dates.isnull() & values.notnull()).any():
        raise ValueError("a value has none of the formats {}".format(", ".join(formats)))
    return dates


# --- steps ------------------------------------------------------------------------------------------------------------


def _split(frame: Any, percentage: float, seed: int, part: int) -> Any:
    chance = random.Random(seed)  # noqa: S311 - it divides rows
    first = [chance.random() < percentage for _ in range(len(frame))]
    wanted = first if part == 0 else [not each for each in first]
    return frame[wanted].reset_index(drop=True)


def _drop(frame: Any, columns: List[str]) -> Any:
    return frame.drop(columns=_there(frame, columns))


def _keep(frame: Any, columns: List[str]) -> Any:
    return frame[_there(frame, columns)]


def _there(frame: Any, columns: List[str]) -> List[str]:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise user_error(
            "There is no column {!r}; there are: {}.".format(missing[0], ", ".join(map(str, frame.columns)))
        )
    return columns


_READERS: Dict[str, Callable[..., Any]] = {
    "delimited": _read_delimited,
    "parquet": _read_parquet,
    "json lines": _read_json_lines,
}
_STEPS: Dict[str, Callable[..., Any]] = {
    "take": lambda frame, count: frame.iloc[:count].reset_index(drop=True),
    "skip": lambda frame, count: frame.iloc[count:].reset_index(drop=True),
    "split": _split,
    "keep columns": _keep,
    "drop columns": _drop,
}

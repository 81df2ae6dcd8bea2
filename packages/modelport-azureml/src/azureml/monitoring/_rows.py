"""From what a script has to rows: no NumPy, pandas or Spark is imported here, they are known by what they can do."""

from typing import Any, Dict, List, NamedTuple, Sequence


class Table(NamedTuple):
    """Rows below names. ``more`` are the values of the last columns, the same in each row."""

    names: List[str]
    rows: List[List[Any]]
    more: List[Any]

    @property
    def cells(self) -> int:
        return len(self.rows) * max(len(self.names), 1)


class Correlated(List[Any]):
    """Rows with the columns that relate them to others at their ends: what ``add_correlations`` makes of a list."""

    def __init__(self, table: Table) -> None:
        super().__init__([row + table.more for row in table.rows])
        self.names = table.names


def table_of(data: Any, names: Sequence[str]) -> Table:
    """The data as a table, in lists of its own. ``names`` are those of the columns, as far as they go; a data frame has
    its own where they do not fit, and the rest is numbered.

    One dimension is a column with a row for each value; a row where there are as many names as values, and several.
    Raises TypeError and others for what is no table.
    """
    if isinstance(data, Correlated):
        return Table(data.names, [list(row) for row in data], [])
    if hasattr(data, "toPandas"):
        data = data.toPandas()
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _of_frame(data, names)
    if hasattr(data, "iloc"):
        own = [] if names or data.name is None else [str(data.name)]
        return _of_values(data.tolist(), list(names) or own)
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, dict):
        return _of_dictionaries([data])
    if isinstance(data, (list, tuple)) and data and all(isinstance(row, dict) for row in data):
        return _of_dictionaries(data)
    return _of_values(list(data) if isinstance(data, (list, tuple)) else [data], list(names))


def with_columns(data: Any, columns: Dict[str, Any], names: Sequence[str]) -> Any:
    """The data with these columns behind its own, in each row the same."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return data.assign(**columns)
    table = table_of(data, names)
    return Correlated(Table(table.names + list(columns), table.rows, table.more + list(columns.values())))


def _of_frame(frame: Any, names: Sequence[str]) -> Table:
    """Column by column, so that each keeps its type: all values of a frame together would get one."""
    columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
    own = [str(name) for name in frame.columns]
    chosen = list(names) if len(names) == len(own) else own
    return Table(chosen, [list(row) for row in zip(*columns)], [])


def _of_dictionaries(rows: Sequence[Dict[Any, Any]]) -> Table:
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    texts = [{str(name): value for name, value in row.items()} for row in rows]
    return Table(names, [[row.get(name) for name in names] for row in texts], [])


def _of_values(values: List[Any], names: List[str]) -> Table:
    if values and all(isinstance(value, (list, tuple)) for value in values):
        rows = [_flat(row) for row in values]
    elif len(names) > 1 and len(names) == len(values):
        rows = [values]
    else:
        rows = [[value] for value in values]
    width = max([len(row) for row in rows] or [len(names)])
    numbered = [str(place) for place in range(len(names), width)]
    return Table(names[:width] + numbered, [row + [None] * (width - len(row)) for row in rows], [])


def _flat(row: Any) -> List[Any]:
    """Dimensions beyond the second one lie in one row."""
    if not any(isinstance(value, (list, tuple)) for value in row):
        return list(row)
    return [each for value in row for each in (_flat(value) if isinstance(value, (list, tuple)) else [value])]

"""What may be logged, as JSON holds it."""

from typing import Any, Dict, List

from azureml._errors import user_error


def scalar(value: Any) -> Any:
    """A number, a text, a claim or None as it is; a NumPy or tensor scalar as its number; anything else as its text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    item = getattr(value, "item", None)  # NumPy, PyTorch, TensorFlow: what has exactly one element
    if callable(item):
        try:
            return scalar(item())
        except (TypeError, ValueError, RuntimeError):
            pass
    return str(value)


def _number(value: Any) -> Any:
    """A plain int or float: subclasses may print otherwise."""
    return int(value) if isinstance(value, int) else float(value)


def sequence(name: str, value: Any) -> List[Any]:
    """The elements of a list, a tuple, an array or a series. Raises UserErrorException for what has none."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise user_error(
            "The value of the list metric {!r} must be a list, not {!r}. For one value use run.log.".format(name, value)
        )
    return [scalar(each) for each in value]


def column(value: Any) -> Any:
    """A column of a table: a list of its elements, or the one value that it is."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return scalar(value)
    return [scalar(each) for each in value]


def table(name: str, value: Any) -> Dict[str, Any]:
    """A dictionary of columns. Raises UserErrorException for anything else."""
    if not hasattr(value, "items"):
        raise user_error(
            "The value of the table metric {!r} must be a dictionary of columns, such as "
            "{{'x': [1, 2], 'y': [3, 4]}}, not {!r}.".format(name, value)
        )
    return {str(key): column(each) for key, each in value.items()}

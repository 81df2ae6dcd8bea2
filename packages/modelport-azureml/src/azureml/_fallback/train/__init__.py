"""A door: its names are in ``azureml._table``. Modules of other distributions stay importable beside it."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

__all__ = []

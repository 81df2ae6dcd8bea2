"""A door: its names are in ``azureml._table``. Modules of other distributions stay importable beside it."""

from pkgutil import extend_path

from azureml._doors import open_door

__path__ = extend_path(__path__, __name__)
__all__, __getattr__, __dir__ = open_door(__name__)

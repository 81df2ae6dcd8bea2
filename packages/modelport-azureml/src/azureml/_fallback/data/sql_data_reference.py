"""A door: its names are in ``azureml._table``."""

from azureml._doors import open_door

__all__, __getattr__, __dir__ = open_door(__name__)

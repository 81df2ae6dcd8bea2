"""What goes wrong with data sets, by the names that v1 had for it: each is a UserErrorException too."""

from typing import Type

from azureml import exceptions
from azureml._errors import user_error


class DatasetValidationError(exceptions.UserErrorException):
    """What a data set is to be made of is not there."""


class DatasetExecutionError(exceptions.UserErrorException):
    """The files of a data set are gone, or cannot be read as it says."""


def validation_error(message: str) -> exceptions.AzureMLException:
    """A DatasetValidationError."""
    return _of_both(DatasetValidationError, type(user_error(message)))(message)


def execution_error(message: str) -> exceptions.AzureMLException:
    """A DatasetExecutionError."""
    return _of_both(DatasetExecutionError, type(user_error(message)))(message)


def _of_both(
    kind: Type[exceptions.AzureMLException], of_client: Type[exceptions.AzureMLException]
) -> Type[exceptions.AzureMLException]:
    """The class itself; where the client is loaded, one that is the client's class too."""
    if issubclass(kind, of_client):
        return kind
    return type(kind.__name__, (kind, of_client), {"__module__": kind.__module__, "__doc__": kind.__doc__})

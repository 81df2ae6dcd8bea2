"""Errors of what works with the client and without it: the client's own class of that name, where it is loaded.

``except modelport.exceptions.UserErrorException`` and ``except azureml.exceptions.UserErrorException`` then both catch
it: the client's class is also v1's.
"""

import sys
from typing import Type

from azureml import exceptions

_CLIENTS = "modelport.domain.errors"


def user_error(message: str) -> exceptions.AzureMLException:
    """A UserErrorException: what was given cannot be used as it is."""
    kind: Type[exceptions.AzureMLException] = exceptions.UserErrorException
    return getattr(sys.modules.get(_CLIENTS), "UserErrorException", kind)(message)

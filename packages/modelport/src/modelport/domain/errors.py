"""The error tree. Every class is something that a user can act on; the names that v1 scripts catch are kept.

ModelportError
├── UserErrorException                 what was given cannot be used as it is
├── WorkspaceException                 a workspace is missing, taken, or cannot be opened
│   └── StoreException                 the workspace's database or files are damaged or cannot be written
├── ComputeTargetException             a compute target is missing, or cannot be what is asked
├── EnvironmentException               an environment is missing, or cannot be resolved or built
│   └── ResolutionFailed               the requirements contradict each other or cannot be had
└── WebserviceException                a model or a service: not found, taken, in use, failed
    ├── ModelNotFoundException
    │   └── ModelPathNotFoundException
    ├── AuthenticationOff              a service that asks for no key or token was asked for one
    ├── ConflictException              the name is taken, or another operation is under way
    ├── RegistryException              a registry of images refuses, does not answer, or lacks the image
    └── DeploymentFailed               a phase of a deployment failed; holds the Failure

Each is also what v1 called it: ``except azureml.exceptions.WebserviceException`` catches ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azureml
from azureml import exceptions as v1

if not hasattr(azureml, "IS_MODELPORT"):  # the vendor's files lie over ours
    raise ImportError(
        f"The package azureml in {azureml.__path__[0]} is not Modelport's. Use an environment of its own for "
        "Modelport; or uninstall the vendor's packages (pip uninstall azureml-core ...), and install again "
        "what they have overwritten: pip install --force-reinstall --no-deps modelport-azureml"
    )
from azureml._modelport import client_noted

if TYPE_CHECKING:
    from modelport.domain.failures import Failure


class ModelportError(v1.AzureMLException):
    """The root. ``message`` says what is wrong and where; ``hint``, one thing to try (may be empty).

    ``str()`` is the text; in a program that uses v1's names (it has imported one of the client from ``azureml``), v1's
    lines around the same text (azureml-v1 reference, 2.13).
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def text(self) -> str:
        """What is wrong, and what to try."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    @property
    def inner_exception(self) -> BaseException | None:
        """The error behind this one, or None."""
        return self.__cause__

    def _v1_name(self) -> str:
        """The name of the nearest class that v1 had."""
        return next(each.__name__ for each in type(self).__mro__ if each.__module__ == v1.__name__)

    def __str__(self) -> str:
        return self.v1_text(self.text) if client_noted() else self.text

    def __repr__(self) -> str:
        return str(self) if client_noted() else f"{type(self).__name__}({self.message!r})"


class UserErrorException(ModelportError, v1.UserErrorException):
    """What was given cannot be used as it is."""


class WorkspaceException(ModelportError, v1.WorkspaceException):
    """A workspace is missing, taken, or cannot be opened."""


class StoreException(WorkspaceException):
    """The workspace's database or its files are damaged, or cannot be read or written."""


class ComputeTargetException(ModelportError, v1.ComputeTargetException):
    """A compute target is missing, or cannot be what is asked of it."""


class EnvironmentException(ModelportError):
    """An environment is missing, or cannot be resolved or built."""


class ResolutionFailed(EnvironmentException):
    """The requirements contradict each other or cannot be had; the message holds the resolver's own words."""


class WebserviceException(ModelportError, v1.WebserviceException):
    """A model or a service was not found, is taken, is in use, or failed.

    ``status_code`` is an HTTP status where one is known, as in the v1 SDK: nearly always ``None``.
    """

    def __init__(self, message: str, *, hint: str = "", status_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status_code = status_code


class ModelNotFoundException(WebserviceException, v1.ModelNotFoundException):
    """No such model. (A WebserviceException too: the v1 SDK documented one and raised the other.)"""


class ModelPathNotFoundException(ModelNotFoundException, v1.ModelPathNotFoundException):
    """The file or folder of a model is not there."""


class AuthenticationOff(WebserviceException, NotImplementedError):
    """The service asks for no key, or for no token, so it has none. (v1's local services raised the latter.)"""


class ConflictException(WebserviceException):
    """The name is taken, the thing is in use, or another operation on it is under way (HTTP 409)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, status_code=409)


class RegistryException(WebserviceException):
    """A registry of images refused, did not answer, or has no such image; the message holds its own words."""


class DeploymentFailed(WebserviceException):
    """A phase of a deployment failed. ``failure`` holds the phase, the traceback and the end of the log."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.describe(), hint=failure.hint)
        self.failure = failure

"""The errors that scripts catch.

Exception
├── AzureMLException                         the root
│   ├── UserErrorException                   what was given cannot be used
│   │   └── AuthenticationException
│   ├── WebserviceException                  a service or a model: not found, in use, failed
│   ├── ModelNotFoundException
│   ├── ModelPathNotFoundException
│   ├── WorkspaceException, WorkspacePrivateEndpointException
│   ├── ComputeTargetException
│   └── the others below, one for each thing that can fail
└── ServiceException                         an HTTP answer that reports an error
"""

import json
import sys
import traceback
from typing import Any, Dict, Optional


class AzureMLException(Exception):
    """The root. ``message`` is what is wrong; ``inner_exception``, the error behind it, or None."""

    _error_code: Optional[str] = None

    def __init__(self, exception_message: str, inner_exception: Optional[BaseException] = None, **_: Any) -> None:
        super().__init__(exception_message)
        self._exception_message = exception_message
        self._inner_exception = inner_exception

    @property
    def message(self) -> str:
        return self._exception_message

    @message.setter
    def message(self, value: str) -> None:
        self._exception_message = value

    @property
    def inner_exception(self) -> Optional[BaseException]:
        return self._inner_exception

    def print_stacktrace(self) -> None:
        """Write the traceback of this error to standard error."""
        traceback.print_exception(type(self), self, self.__traceback__, file=sys.stderr)

    def __str__(self) -> str:
        return self.v1_text(self.message)

    def v1_text(self, message: str) -> str:
        """The lines that ``str()`` of v1 had, around the message."""
        error: Dict[str, str] = {"message": message}
        if self._error_code:
            error["code"] = self._error_code
        return "{}:\n\tMessage: {}\n\tInnerException {}\n\tErrorResponse \n{}".format(
            self._v1_name(), message, self.inner_exception, json.dumps({"error": error}, indent=4)
        )

    def _v1_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return str(self)


class AzureMLAggregatedException(AzureMLException):
    """Several errors at once."""


class UserErrorException(AzureMLException):
    """What was given cannot be used as it is."""

    _error_code = "UserError"


class AuthenticationException(UserErrorException):
    """Signing in failed."""


class WebserviceException(AzureMLException):
    """A service or a model is not found, is in use, or has failed."""

    def __init__(self, exception_message: str, status_code: Optional[int] = None, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        self.status_code = status_code


class ModelNotFoundException(AzureMLException):
    """There is no such model."""


class ModelPathNotFoundException(AzureMLException):
    """There is no such file or folder to make a model of."""


class WorkspaceException(AzureMLException):
    """A workspace is missing, or not the only one of its name: then ``found_multiple`` is true."""

    def __init__(self, exception_message: str, found_multiple: bool = False, **kwargs: Any) -> None:
        super().__init__(exception_message, **kwargs)
        self.found_multiple = found_multiple


class WorkspacePrivateEndpointException(WorkspaceException):
    """A workspace's private endpoint cannot be used."""


class ComputeTargetException(AzureMLException):
    """A compute target is missing or failed."""


class ProjectSystemException(AzureMLException):
    """A project's folder cannot be used."""


class RunConfigurationException(AzureMLException):
    """A run's configuration is invalid."""


class RunEnvironmentException(AzureMLException):
    """Code that belongs into a run is not inside one."""


class ExperimentExecutionException(AzureMLException):
    """An experiment's run failed."""


class TrainingException(AzureMLException):
    """A training failed."""


class SnapshotException(AzureMLException):
    """A folder cannot be taken a snapshot of."""


class DiscoveryUrlNotFoundException(AzureMLException):
    """The address of the workspace's services is not known."""


class ActivityFailedException(AzureMLException):
    """A run that was waited for has failed."""


class ActivityCanceledException(AzureMLException):
    """A run that was waited for was cancelled."""


class DatasetTimestampMissingError(AzureMLException):
    """A data set has no column of times."""


class ParallelRunException(AzureMLException):
    """A batch run failed with ``code``; it may be tried again after ``delay_seconds``."""

    def __init__(
        self, exception_message: str, code: Optional[str] = None, delay_seconds: Optional[int] = None, **kwargs: Any
    ) -> None:
        super().__init__(exception_message, **kwargs)
        self.code = code
        self.delay_seconds = delay_seconds


class ServiceException(Exception):
    """An HTTP answer that reports an error, kept as ``response``."""

    def __init__(self, message: str, response: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.response = response


__all__ = [
    "ActivityCanceledException",
    "ActivityFailedException",
    "AuthenticationException",
    "AzureMLAggregatedException",
    "AzureMLException",
    "ComputeTargetException",
    "DatasetTimestampMissingError",
    "DiscoveryUrlNotFoundException",
    "ExperimentExecutionException",
    "ModelNotFoundException",
    "ModelPathNotFoundException",
    "ParallelRunException",
    "ProjectSystemException",
    "RunConfigurationException",
    "RunEnvironmentException",
    "ServiceException",
    "SnapshotException",
    "TrainingException",
    "UserErrorException",
    "WebserviceException",
    "WorkspaceException",
    "WorkspacePrivateEndpointException",
]

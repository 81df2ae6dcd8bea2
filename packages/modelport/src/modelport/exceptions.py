"""The exceptions that Modelport raises; see ``modelport.domain.errors`` for the tree."""

from modelport.domain.errors import (
    AuthenticationOff,
    ComputeTargetException,
    ConflictException,
    DeploymentFailed,
    EnvironmentException,
    ModelNotFoundException,
    ModelPathNotFoundException,
    ModelportError,
    RegistryException,
    ResolutionFailed,
    StoreException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
)

__all__ = [
    "AuthenticationOff",
    "ComputeTargetException",
    "ConflictException",
    "DeploymentFailed",
    "EnvironmentException",
    "ModelNotFoundException",
    "ModelPathNotFoundException",
    "ModelportError",
    "RegistryException",
    "ResolutionFailed",
    "StoreException",
    "UserErrorException",
    "WebserviceException",
    "WorkspaceException",
]

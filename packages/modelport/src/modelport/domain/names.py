"""Which names are allowed (azureml-v1 reference: 1.4 for services, 2.2 for models)."""

from __future__ import annotations

import re

from modelport.domain.errors import UserErrorException, WebserviceException, WorkspaceException

_SERVICE = re.compile(r"[a-z]([-a-z0-9]{1,30}[a-z0-9])")
_MODEL = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,254}")
_IMAGE = re.compile(r"[a-z0-9]([-_.a-z0-9]{0,126}[a-z0-9])?")
_WORKSPACE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{1,63}")


def check_service_name(name: str) -> None:
    """Raise WebserviceException unless ``name`` can name a service or a version of an endpoint."""
    if not isinstance(name, str) or not _SERVICE.fullmatch(name):
        raise WebserviceException(
            f"Invalid service name {name!r}: it must have 3 to 32 characters, only lower-case letters, digits and '-', "
            "start with a letter and end with a letter or digit."
        )


def check_model_name(name: str | None) -> None:
    """Raise WebserviceException unless ``name`` can name a model."""
    if not name:
        raise WebserviceException("A model needs a name: model_name must not be empty.")
    if not isinstance(name, str) or not _MODEL.fullmatch(name):
        raise WebserviceException(
            f"Invalid model name {name!r}: it must start with a letter or digit and hold only letters, digits, '-', "
            "'_' and '.', 255 characters at most."
        )


def check_environment_name(name: str) -> None:
    """Raise UserErrorException unless an environment of that name can be registered."""
    if not name or not name.strip():
        raise UserErrorException("An environment needs a name.")
    if name.lower().startswith(("microsoft", "azureml")):
        message = f"The name {name!r} is reserved: it starts with Microsoft or AzureML."
        raise UserErrorException(message, hint="Choose another name; clone(new_name) makes a copy under it.")


def check_image_name(name: str) -> None:
    """Raise WebserviceException unless ``name`` can name an image or a package."""
    if not isinstance(name, str) or not _IMAGE.fullmatch(name):
        raise WebserviceException(
            f"Invalid image name {name!r}: it must have only lower-case letters, digits, '-', '_' and '.', start and "
            "end with a letter or digit, and have 128 characters at most."
        )


def check_workspace_name(name: str) -> None:
    """Raise WorkspaceException unless ``name`` can name a workspace."""
    if not isinstance(name, str) or not _WORKSPACE.fullmatch(name):
        raise WorkspaceException(
            f"Invalid workspace name {name!r}: it must have 2 to 64 characters, letters, digits, '-', '_' and '.', and "
            "start with a letter or digit."
        )


def split_model_id(model_id: str) -> tuple[str, int]:
    """``name:version`` as its two parts; raises UserErrorException where it is not of that form."""
    name, separator, version = model_id.rpartition(":")
    if not separator or not version.isdigit():
        raise UserErrorException(
            f"Invalid model id {model_id!r}: it must be of the form name:version, such as mymodel:3."
        )
    return name, int(version)

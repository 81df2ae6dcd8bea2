"""What every store says when it must refuse, in the same words."""

from __future__ import annotations

from collections.abc import Iterable

from modelport.domain.errors import (
    ConflictException,
    ModelNotFoundException,
    StoreException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
)


def workspace_missing(name: str) -> WorkspaceException:
    return WorkspaceException(
        f"The workspace {name!r} does not exist in this database.", hint="Create it first: Workspace.create(name=…)."
    )


def model_not_found(name: str, version: int) -> ModelNotFoundException:
    return ModelNotFoundException(
        f"ModelNotFound: the model {name}:{version} was not found in the workspace.",
        hint="Model.list(workspace) shows what is registered.",
    )


def models_of_service_not_found(service: str, model_ids: Iterable[str]) -> ModelNotFoundException:
    return ModelNotFoundException(
        f"ModelNotFound: the service {service!r} needs {', '.join(model_ids)}, which the workspace does not have.",
        hint="Register the model again, or deploy another version.",
    )


def version_given_out(name: str, version: int, last: int) -> ConflictException:
    return ConflictException(
        f"The model {name!r} cannot get the version {version}: {last} was given out already, and numbers only grow.",
        hint="Register it without a number: it gets the next one.",
    )


def model_in_use(name: str, version: int, services: Iterable[str]) -> ConflictException:
    return ConflictException(
        f"The model {name}:{version} is used by: {', '.join(services)}.",
        hint="Delete the service first, or deploy other models until no kept revision has this one.",
    )


def service_unreadable(name: str, detail: str) -> StoreException:
    return StoreException(
        f"The service {name!r} cannot be read: its row in the database is damaged: {detail}",
        hint="Restore the database from a backup. It was not changed.",
    )


def service_not_found(name: str) -> WebserviceException:
    return WebserviceException(f"WebserviceNotFound: there is no service named {name!r} in the workspace.")


def service_exists(name: str) -> ConflictException:
    return ConflictException(
        f"There is a service named {name!r} already.", hint="Choose another name, delete it, or give overwrite=True."
    )


def asset_not_found(kind: str, name: str, version: int) -> UserErrorException:
    return UserErrorException(
        f"The {kind} {name}:{version} was not found in the workspace.",
        hint="It may have been deleted meanwhile: list what is there, or create it anew.",
    )


def asset_exists(kind: str, name: str) -> ConflictException:
    return ConflictException(
        f"There is a {kind} named {name!r} already.", hint="Choose another name, or delete that one first."
    )

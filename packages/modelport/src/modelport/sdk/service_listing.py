"""The services of a workspace, as they are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.domain.errors import StoreException
from modelport.domain.services import Service, ServiceFilter

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


def readable_services(workspace: Workspace, wanted: ServiceFilter) -> list[Service]:
    """Those that fit, by name. One whose row is damaged does not hide the others: it is named, and left out."""
    unreadable: dict[str, StoreException] = {}
    found = workspace.registry.services(wanted, unreadable=unreadable)
    for error in unreadable.values():
        workspace.context.progress.step(f"Left out: {error.message}")
    return found

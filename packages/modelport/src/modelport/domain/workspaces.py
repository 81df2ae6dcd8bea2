"""Workspaces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class WorkspaceLabels:
    """What a workspace is called besides its name. The three cloud names are kept: v1 scripts give and print them."""

    subscription_id: str = ""
    resource_group: str = ""
    location: str = "local"
    friendly_name: str | None = None
    description: str | None = None
    sku: str = "basic"
    tags: Mapping[str, str] = field(default_factory=dict)
    aci: str | None = None
    """What its container instances are: ``container``, ``process``, or (``auto``, None) containers where there is an
    engine."""


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord(WorkspaceLabels):
    """A workspace as it was created. ``id`` is a UUID."""

    name: str
    id: str
    created_time: dt.datetime

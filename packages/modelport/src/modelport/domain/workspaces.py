"""Workspaces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord:
    """A workspace as it was created. The three cloud names are kept as labels: v1 scripts print them."""

    name: str
    id: str
    """A UUID."""
    created_time: dt.datetime
    subscription_id: str = ""
    resource_group: str = ""
    location: str = "local"
    friendly_name: str | None = None
    description: str | None = None
    sku: str = "basic"
    tags: Mapping[str, str] = field(default_factory=dict)

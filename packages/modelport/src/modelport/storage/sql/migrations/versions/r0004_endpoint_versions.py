"""The versions of endpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("modelport_services", sa.Column("versions", sa.JSON()))

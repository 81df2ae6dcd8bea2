"""What the container instances of a workspace are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("modelport_workspaces", sa.Column("aci", sa.String()))

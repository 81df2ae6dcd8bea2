"""Assets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "modelport_assets",
        sa.Column("workspace", _NAME, sa.ForeignKey("modelport_workspaces.name"), primary_key=True),
        sa.Column("kind", _NAME, primary_key=True),
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_time", _TIME, nullable=False),
        sa.Column("updated_time", _TIME, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
    )

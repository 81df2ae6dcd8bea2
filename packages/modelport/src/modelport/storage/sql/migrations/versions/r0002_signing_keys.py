"""The keys that sign access tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "modelport_signing_keys",
        sa.Column("workspace", _NAME, sa.ForeignKey("modelport_workspaces.name"), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("private_key", sa.String(), nullable=False),
        sa.Column("x", sa.String(), nullable=False),
        sa.Column("y", sa.String(), nullable=False),
        sa.Column("created_time", _TIME, nullable=False),
        sa.Column("accepted_until", _TIME),
    )

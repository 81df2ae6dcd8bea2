"""The first tables: workspaces, models, environments, services, events."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _workspaces()
    _counters()
    _models()
    _model_files()
    _model_labels()
    _environments()
    _services()
    _service_labels()
    _revisions()
    _revision_models()
    _events()


def _workspace() -> sa.Column[str]:
    return sa.Column("workspace", _NAME, sa.ForeignKey("modelport_workspaces.name"), primary_key=True)


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _model_key(*, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace", "model_name", "model_version"],
        ["modelport_models.workspace", "modelport_models.name", "modelport_models.version"],
        ondelete=ondelete,
    )


def _service_key() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace", "service"],
        ["modelport_services.workspace", "modelport_services.name"],
        ondelete="CASCADE",
    )


def _workspaces() -> None:
    op.create_table(
        "modelport_workspaces",
        _key("name", _NAME),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_time", _TIME, nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("resource_group", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("description", sa.String()),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
    )


def _counters() -> None:
    op.create_table(
        "modelport_counters",
        _workspace(),
        _key("kind", sa.String()),
        _key("name", _NAME),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )


def _models() -> None:
    op.create_table(
        "modelport_models",
        _workspace(),
        _key("name", _NAME),
        _key("version", sa.BigInteger()),
        sa.Column("created_time", _TIME, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("is_folder", sa.Boolean(), nullable=False),
        sa.Column("description", sa.String()),
        sa.Column("framework", sa.String()),
        sa.Column("framework_version", sa.String()),
        sa.Column("resource_configuration", sa.JSON()),
        sa.Column("sample_input", sa.String()),
        sa.Column("sample_output", sa.String()),
        sa.Column("run_id", sa.String()),
        sa.Column("experiment_name", sa.String()),
    )


def _model_files() -> None:
    op.create_table(
        "modelport_model_files",
        _workspace(),
        _key("model_name", _NAME),
        _key("model_version", sa.BigInteger()),
        _key("position", sa.Integer()),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("executable", sa.Boolean(), nullable=False),
        _model_key(ondelete="CASCADE"),
    )
    op.create_index("modelport_model_files_by_content", "modelport_model_files", ["workspace", "sha256"])


def _model_labels() -> None:
    op.create_table(
        "modelport_model_labels",
        _workspace(),
        _key("model_name", _NAME),
        _key("model_version", sa.BigInteger()),
        _key("kind", sa.String()),
        _key("position", sa.Integer()),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        _model_key(ondelete="CASCADE"),
    )


def _environments() -> None:
    op.create_table(
        "modelport_environments",
        _workspace(),
        _key("name", _NAME),
        _key("version", sa.BigInteger()),
        sa.Column("definition", sa.JSON(), nullable=False),
    )


def _services() -> None:
    op.create_table(
        "modelport_services",
        _workspace(),
        _key("name", _NAME),
        sa.Column("compute_type", sa.String(), nullable=False),
        sa.Column("deployment", sa.JSON(), nullable=False),
        sa.Column("desired_state", sa.String(), nullable=False),
        sa.Column("active_revision", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("created_time", _TIME, nullable=False),
        sa.Column("updated_time", _TIME, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("port", sa.Integer()),
        sa.Column("primary_key", sa.String()),
        sa.Column("secondary_key", sa.String()),
        sa.Column("description", sa.String()),
        sa.Column("failure", sa.JSON()),
    )


def _service_labels() -> None:
    op.create_table(
        "modelport_service_labels",
        _workspace(),
        _key("service", _NAME),
        _key("kind", sa.String()),
        _key("position", sa.Integer()),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        _service_key(),
    )


def _revisions() -> None:
    op.create_table(
        "modelport_revisions",
        _workspace(),
        _key("service", _NAME),
        _key("number", sa.Integer()),
        sa.Column("document", sa.JSON(), nullable=False),
        _service_key(),
    )


def _revision_models() -> None:
    op.create_table(
        "modelport_revision_models",
        _workspace(),
        _key("service", _NAME),
        _key("revision", sa.Integer()),
        _key("position", sa.Integer()),
        sa.Column("model_name", _NAME, nullable=False),
        sa.Column("model_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "service", "revision"],
            ["modelport_revisions.workspace", "modelport_revisions.service", "modelport_revisions.number"],
            ondelete="CASCADE",
        ),
        _model_key(ondelete="RESTRICT"),
    )
    op.create_index(
        "modelport_revision_models_by_model",
        "modelport_revision_models",
        ["workspace", "model_name", "model_version"],
    )


def _events() -> None:
    op.create_table(
        "modelport_events",
        _workspace(),
        _key("number", sa.BigInteger()),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
    )

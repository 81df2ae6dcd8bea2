"""The tables. Every one begins its key with the workspace, so that workspaces can share a database.

What a filter asks for is a column or a row; the rest of a value is a JSON document. The names begin with ``modelport_``
because a PostgreSQL database may be shared with other programs too. A change here needs a migration: a test compares.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from modelport.domain.deployments import Deployment
from modelport.domain.endpoints import EndpointVersion
from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.failures import Failure
from modelport.domain.models import ResourceConfiguration
from modelport.domain.services import Revision
from modelport.storage.sql.columns import NAME, Document, UtcTime


class Label(StrEnum):
    """The two kinds of labels."""

    TAG = "tag"
    PROPERTY = "property"


class Counter(StrEnum):
    """What is counted: versions by name (of assets: as ``asset/<kind>``); events, under the empty name."""

    MODEL = "model"
    ENVIRONMENT = "environment"
    EVENT = "event"
    ASSET = "asset"


metadata = sa.MetaData()

workspaces = sa.Table(
    "modelport_workspaces",
    metadata,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("created_time", UtcTime, nullable=False),
    sa.Column("subscription_id", sa.String, nullable=False),
    sa.Column("resource_group", sa.String, nullable=False),
    sa.Column("location", sa.String, nullable=False),
    sa.Column("friendly_name", sa.String),
    sa.Column("description", sa.String),
    sa.Column("sku", sa.String, nullable=False),
    sa.Column("tags", Document(dict[str, str]), nullable=False),
    sa.Column("aci", sa.String),
)


def _workspace() -> sa.Column[str]:
    return sa.Column("workspace", NAME, sa.ForeignKey(workspaces.c.name), primary_key=True)


counters = sa.Table(
    "modelport_counters",
    metadata,
    _workspace(),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)

models = sa.Table(
    "modelport_models",
    metadata,
    _workspace(),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("created_time", UtcTime, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
    sa.Column("is_folder", sa.Boolean, nullable=False),
    sa.Column("description", sa.String),
    sa.Column("framework", sa.String),
    sa.Column("framework_version", sa.String),
    sa.Column("resource_configuration", Document(ResourceConfiguration)),
    sa.Column("sample_input", sa.String),
    sa.Column("sample_output", sa.String),
    sa.Column("run_id", sa.String),
    sa.Column("experiment_name", sa.String),
)


def _model_key(*, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace", "model_name", "model_version"],
        [models.c.workspace, models.c.name, models.c.version],
        ondelete=ondelete,
    )


model_files = sa.Table(
    "modelport_model_files",
    metadata,
    _workspace(),
    sa.Column("model_name", NAME, primary_key=True),
    sa.Column("model_version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("executable", sa.Boolean, nullable=False),
    _model_key(ondelete="CASCADE"),
    sa.Index("modelport_model_files_by_content", "workspace", "sha256"),
)

model_labels = sa.Table(
    "modelport_model_labels",
    metadata,
    _workspace(),
    sa.Column("model_name", NAME, primary_key=True),
    sa.Column("model_version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("value", sa.String, nullable=False),
    _model_key(ondelete="CASCADE"),
)

environments = sa.Table(
    "modelport_environments",
    metadata,
    _workspace(),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("definition", Document(EnvironmentDefinition), nullable=False),
)

services = sa.Table(
    "modelport_services",
    metadata,
    _workspace(),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("compute_type", sa.String, nullable=False),
    sa.Column("deployment", Document(Deployment), nullable=False),
    sa.Column("desired_state", sa.String, nullable=False),
    sa.Column("active_revision", sa.Integer, nullable=False),
    sa.Column("versions", Document(tuple[EndpointVersion, ...])),
    sa.Column("last_number", sa.Integer, nullable=False),
    sa.Column("created_time", UtcTime, nullable=False),
    sa.Column("updated_time", UtcTime, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
    sa.Column("port", sa.Integer),
    sa.Column("primary_key", sa.String),
    sa.Column("secondary_key", sa.String),
    sa.Column("description", sa.String),
    sa.Column("failure", Document(Failure)),
)


def _service_key() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace", "service"], [services.c.workspace, services.c.name], ondelete="CASCADE"
    )


service_labels = sa.Table(
    "modelport_service_labels",
    metadata,
    _workspace(),
    sa.Column("service", NAME, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("value", sa.String, nullable=False),
    _service_key(),
)

revisions = sa.Table(
    "modelport_revisions",
    metadata,
    _workspace(),
    sa.Column("service", NAME, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", Document(Revision), nullable=False),
    _service_key(),
)

revision_models = sa.Table(
    "modelport_revision_models",
    metadata,
    _workspace(),
    sa.Column("service", NAME, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model_name", NAME, nullable=False),
    sa.Column("model_version", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(
        ["workspace", "service", "revision"],
        [revisions.c.workspace, revisions.c.service, revisions.c.number],
        ondelete="CASCADE",
    ),
    # The database itself refuses to delete a model that a kept revision has.
    _model_key(ondelete="RESTRICT"),
    sa.Index("modelport_revision_models_by_model", "workspace", "model_name", "model_version"),
)

assets = sa.Table(
    "modelport_assets",
    metadata,
    _workspace(),
    sa.Column("kind", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", Document(dict[str, Any]), nullable=False),
    sa.Column("created_time", UtcTime, nullable=False),
    sa.Column("updated_time", UtcTime, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
)

signing_keys = sa.Table(
    "modelport_signing_keys",
    metadata,
    _workspace(),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("private_key", sa.String, nullable=False),
    sa.Column("x", sa.String, nullable=False),
    sa.Column("y", sa.String, nullable=False),
    sa.Column("created_time", UtcTime, nullable=False),
    sa.Column("accepted_until", UtcTime),
)

events = sa.Table(
    "modelport_events",
    metadata,
    _workspace(),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("time", UtcTime, nullable=False),
    sa.Column("data", Document(dict[str, str]), nullable=False),
)

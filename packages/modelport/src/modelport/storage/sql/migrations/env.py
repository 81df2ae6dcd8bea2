"""What Alembic runs. The caller gives the connection and its transaction: ``upgrade.run``."""

from __future__ import annotations

from alembic import context

from modelport.storage.sql.schema import VERSION_TABLE
from modelport.storage.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()

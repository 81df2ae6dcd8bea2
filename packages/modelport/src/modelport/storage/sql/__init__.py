"""MetadataStore on SQLite (one file) and on PostgreSQL (by URL)."""

from modelport.storage.sql.store import open_sql

__all__ = ["open_sql"]

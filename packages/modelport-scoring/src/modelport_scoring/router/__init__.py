"""A router before the servers of an endpoint's versions (docs/architecture/14-router.md)."""

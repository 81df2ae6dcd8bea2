"""Folders that a script writes, as arguments."""

import uuid
from typing import Any, Optional


class OutputFileDatasetConfig:
    """A folder of a datastore that a script writes to, given to it as a path."""

    def __init__(
        self, name: Optional[str] = None, destination: Any = None, source: Optional[str] = None, **kwargs: Any
    ) -> None:
        """``destination``: ``(datastore, path)``; by default ``dataset/<name>`` on the default datastore."""
        self.name = name or "output_" + uuid.uuid4().hex[:8]
        self.destination = destination
        self.source = source

    def as_upload(self, overwrite: bool = False, source_globs: Any = None) -> "OutputFileDatasetConfig":
        """What is written there is on the datastore at once."""
        return self

    def as_mount(self, disable_metadata_cache: bool = False) -> "OutputFileDatasetConfig":
        """What is written there is on the datastore at once."""
        return self

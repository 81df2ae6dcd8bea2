"""A data set as an input of a script."""

import re
from typing import Any, Optional

from azureml._data.references import DOWNLOAD, MOUNT
from azureml._errors import user_error

DIRECT = "direct"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class DatasetConsumptionConfig:
    """A data set, the name under which the script finds it, and whether as itself or as a path."""

    def __init__(
        self, name: Optional[str], dataset: Any, mode: str = DIRECT, path_on_compute: Optional[str] = None
    ) -> None:
        """Raises UserErrorException for a name that no variable of a shell can have."""
        self.name = name or "input_" + dataset.__class__.__name__.lower()
        if not _NAME.fullmatch(self.name):
            raise user_error(
                "Invalid name of an input {!r}: it may hold letters, digits and '_', and starts with none of the "
                "digits.".format(name)
            )
        self.dataset = dataset
        self.mode = mode
        self.path_on_compute = path_on_compute

    def as_mount(self, path_on_compute: Optional[str] = None) -> "DatasetConsumptionConfig":
        """The script gets the path of a folder with links to the files."""
        return DatasetConsumptionConfig(self.name, self.dataset, MOUNT, path_on_compute)

    def as_download(self, path_on_compute: Optional[str] = None) -> "DatasetConsumptionConfig":
        """The script gets the path of a folder with copies of the files."""
        return DatasetConsumptionConfig(self.name, self.dataset, DOWNLOAD, path_on_compute)

    def as_hdfs(self) -> "DatasetConsumptionConfig":
        """Raises UserErrorException: nothing here runs on Spark."""
        raise user_error("There is no HDFS here: use as_mount() or as_download().")

"""Places on datastores, as arguments of scripts have them."""

import os
import uuid
from typing import Any, Dict, Optional

MOUNT, DOWNLOAD, UPLOAD = "mount", "download", "upload"


class DataReference:
    """A file or folder of a datastore that a script gets as a path.

    Mounted, or to be uploaded, it is the datastore's own folder; downloaded, a copy of it.
    """

    def __init__(
        self,
        datastore: Any,
        data_reference_name: Optional[str] = None,
        path_on_datastore: Optional[str] = None,
        mode: str = MOUNT,
        path_on_compute: Optional[str] = None,
        overwrite: bool = False,
    ) -> None:
        self.datastore = datastore
        self.data_reference_name = data_reference_name or uuid.uuid4().hex
        self.path_on_datastore = path_on_datastore
        self.mode = mode
        self.path_on_compute = path_on_compute
        self.overwrite = overwrite

    def path(self, path: Optional[str] = None, data_reference_name: Optional[str] = None) -> "DataReference":
        """A place below this one."""
        below = "/".join(part for part in (self.path_on_datastore, path) if part)
        return DataReference(self.datastore, data_reference_name, below or None, self.mode)

    def as_mount(self) -> "DataReference":
        """The script gets the datastore's folder itself."""
        return self._as(MOUNT, None, False)

    def as_download(self, path_on_compute: Optional[str] = None, overwrite: bool = False) -> "DataReference":
        """The script gets a copy, in its working directory at ``path_on_compute`` where that is given."""
        return self._as(DOWNLOAD, path_on_compute, overwrite)

    def as_upload(self, path_on_compute: Optional[str] = None, overwrite: bool = False) -> "DataReference":
        """What the script writes there is on the datastore at once."""
        return self._as(UPLOAD, path_on_compute, overwrite)

    def _as(self, mode: str, path_on_compute: Optional[str], overwrite: bool) -> "DataReference":
        name, path = self.data_reference_name, self.path_on_datastore
        return DataReference(self.datastore, name, path, mode, path_on_compute, overwrite)

    @property
    def local_path(self) -> str:
        """Where it is on this machine."""
        return os.path.normpath(os.path.join(self.datastore.folder, self.path_on_datastore or ""))

    def to_config(self) -> Dict[str, Any]:
        """The reference as JSON."""
        return {
            "name": self.data_reference_name,
            "path": self.local_path,
            "mode": self.mode,
            "path_on_compute": self.path_on_compute,
        }

    def __str__(self) -> str:
        return "$AZUREML_DATAREFERENCE_{}".format(self.data_reference_name)

    def __repr__(self) -> str:
        return self.__str__()


class DataPath:
    """A place on a datastore."""

    def __init__(
        self, datastore: Any = None, path_on_datastore: Optional[str] = None, name: Optional[str] = None
    ) -> None:
        self.datastore = datastore
        self.path_on_datastore = path_on_datastore
        self.name = name

"""Datastores: folders of the workspace. What v1 kept in a cloud is kept here; the cloud is never asked."""

import os
import shutil
from typing import Any, Dict, List, Optional, Sequence, Tuple

from azureml._data.references import DataReference
from azureml._errors import user_error

BLOB, FILE_SHARE = "AzureBlob", "AzureFile"


class AbstractDatastore:
    """A datastore of a workspace."""

    def __init__(self, workspace: Any, described: Dict[str, Any]) -> None:
        self.workspace = workspace
        self.name: str = described["name"]
        self.datastore_type: str = described["type"]
        self.folder: str = described["folder"]
        """Where this machine keeps its files."""
        self.is_default: bool = described["is_default"]
        self.created_by = described.get("created_by", "")
        self._details: Dict[str, Any] = described.get("details") or {}

    def set_as_default(self) -> None:
        """Make it what ``workspace.get_default_datastore()`` returns."""
        self.workspace.access.call("set_default_datastore", name=self.name)
        self.is_default = True

    def unregister(self) -> None:
        """Forget it; its files stay in its folder. Raises UserErrorException for one that every workspace has."""
        self.workspace.access.call("unregister_datastore", name=self.name)

    # --- files --------------------------------------------------------------------------------------------------------

    def path(self, path: Optional[str] = None, data_reference_name: Optional[str] = None) -> DataReference:
        """A place on it, to be given to a script."""
        return DataReference(self, data_reference_name or (None if path else self.name), path)

    def as_mount(self) -> DataReference:
        """All of it, as a path for a script."""
        return self.path().as_mount()

    def as_download(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A copy of all of it for a script."""
        return self.path().as_download(path_on_compute)

    def as_upload(self, path_on_compute: Optional[str] = None) -> DataReference:
        """A place for a script to write to."""
        return self.path().as_upload(path_on_compute)

    def upload(
        self, src_dir: str, target_path: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> DataReference:
        """Copy what is in a folder to ``target_path``. A file that is there stays unless ``overwrite``; it is named.

        Raises UserErrorException where there is no such folder.
        """
        if not os.path.isdir(src_dir):
            raise user_error("There is no folder {!r} in {}.".format(str(src_dir), os.getcwd()))
        files = [os.path.join(folder, name) for folder, _, names in os.walk(src_dir) for name in sorted(names)]
        return self.upload_files(sorted(files), src_dir, target_path, overwrite, show_progress)

    def upload_files(
        self,
        files: Sequence[str],
        relative_root: Optional[str] = None,
        target_path: Optional[str] = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Copy files to ``target_path``, with their paths below ``relative_root`` (by default their common folder).

        Raises UserErrorException for a file that is not there, or not below ``relative_root``.
        """
        pairs = _pairs(files, relative_root)
        if show_progress:
            _say("Uploading an estimated of {} files".format(len(pairs)))
        done = 0
        for source, relative in pairs:
            target = self._inside(target_path or "", relative)
            if os.path.exists(target) and not overwrite:
                _say("Target already exists. Skipping upload for {}".format(_joined(target_path, relative)))
                continue
            if show_progress:
                _say("Uploading {}".format(source))
            copy_file(source, target)
            done += 1
            if show_progress:
                _say("Uploaded {}, {} files out of an estimated total of {}".format(source, done, len(pairs)))
        if show_progress:
            _say("Uploaded {} files".format(done))
        return self.path(target_path)

    def download(
        self, target_path: str, prefix: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> int:
        """Copy the files whose paths begin with ``prefix`` below ``target_path``, with their paths on the datastore.

        A file that is there stays unless ``overwrite``. Returns how many were copied.
        """
        wanted = (prefix or "").lstrip("/")
        names = [name for name in self._names() if name.startswith(wanted)]
        done = 0
        for name in names:
            target = os.path.join(target_path, name)
            if os.path.exists(target) and not overwrite:
                _say("Path already exists. Skipping download for {}".format(target))
                continue
            if show_progress:
                _say("Downloading {}".format(name))
            copy_file(os.path.join(self.folder, name), target)
            done += 1
            if show_progress:
                _say("Downloaded {}, {} files out of an estimated total of {}".format(name, done, len(names)))
        return done

    def _names(self) -> List[str]:
        found = [os.path.join(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
        return sorted(os.path.relpath(path, self.folder) for path in found)

    def _inside(self, target_path: str, relative: str) -> str:
        target = os.path.normpath(os.path.join(self.folder, target_path.lstrip("/"), relative))
        if not target.startswith(os.path.join(self.folder, "")):
            raise user_error("{!r} leads out of the datastore {!r}.".format(target_path, self.name))
        return target

    def __getattr__(self, name: str) -> Any:
        """What was said at its registration: ``account_name``, ``container_name`` and such."""
        if name.startswith("_") or name not in self.__dict__.get("_details", {}):
            raise AttributeError("{!r} object has no attribute {!r}".format(type(self).__name__, name))
        return self._details[name]

    def __repr__(self) -> str:
        return '{{\n  "name": "{}",\n  "type": "{}",\n  "folder": "{}"\n}}'.format(
            self.name, self.datastore_type, self.folder
        )


class AzureBlobDatastore(AbstractDatastore):
    """A datastore that v1 kept in a blob container."""


class AzureFileDatastore(AbstractDatastore):
    """A datastore that v1 kept in a file share."""


class CloudDatastore(AbstractDatastore):
    """A datastore of another service of a cloud. Its files here are what was put into its folder."""


_CLASSES = {BLOB: AzureBlobDatastore, FILE_SHARE: AzureFileDatastore}


def open_datastore(workspace: Any, described: Dict[str, Any]) -> AbstractDatastore:
    """The datastore of a description."""
    return _CLASSES.get(described["type"], CloudDatastore)(workspace, described)


def _register(workspace: Any, kind: str, name: str, overwrite: bool, **details: Any) -> Any:
    described = workspace.access.call("register_datastore", name=name, type=kind, details=details, overwrite=overwrite)
    _say(
        "Datastore {} is recorded. Azure is not contacted: its files on this machine are those in {}; put your copy of "
        "them there. Keys and tokens are not kept.".format(name, described["folder"])
    )
    return open_datastore(workspace, described)


class Datastore(AbstractDatastore):
    """The datastores of a workspace. The constructor returns the datastore of that name, or the default one."""

    def __new__(cls, workspace: Any, name: Optional[str] = None) -> Any:
        """Raises UserErrorException where there is none of that name."""
        return cls.get_default(workspace) if name is None else cls.get(workspace, name)

    @staticmethod
    def get(workspace: Any, datastore_name: str) -> Any:
        """The datastore of that name. Raises UserErrorException where there is none."""
        return open_datastore(workspace, workspace.access.call("datastore", name=datastore_name))

    @staticmethod
    def get_default(workspace: Any) -> Any:
        """The workspace's default datastore."""
        return open_datastore(workspace, workspace.access.call("datastore", name=None))

    @staticmethod
    def _all(workspace: Any) -> Dict[str, Any]:
        described = workspace.access.call("datastores")
        return {each["name"]: open_datastore(workspace, each) for each in described}

    @staticmethod
    def register_azure_blob_container(
        workspace: Any,
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
        blob_cache_timeout: Optional[int] = None,
        grant_workspace_access: bool = False,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
    ) -> Any:
        """Record it; see the class. Raises UserErrorException for a name that is taken, unless ``overwrite``."""
        return _register(
            workspace,
            BLOB,
            datastore_name,
            overwrite,
            container_name=container_name,
            account_name=account_name,
            protocol=protocol or "https",
            endpoint=endpoint or "core.windows.net",
        )

    @staticmethod
    def register_azure_file_share(
        workspace: Any,
        datastore_name: str,
        file_share_name: str,
        account_name: str,
        sas_token: Optional[str] = None,
        account_key: Optional[str] = None,
        protocol: Optional[str] = None,
        endpoint: Optional[str] = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
    ) -> Any:
        """Record it; see the class. Raises UserErrorException for a name that is taken, unless ``overwrite``."""
        return _register(
            workspace,
            FILE_SHARE,
            datastore_name,
            overwrite,
            container_name=file_share_name,
            account_name=account_name,
            protocol=protocol or "https",
            endpoint=endpoint or "core.windows.net",
        )

    @staticmethod
    def register_azure_data_lake(
        workspace: Any, datastore_name: str, store_name: str, *_: Any, overwrite: bool = False, **__: Any
    ) -> Any:
        """Record it; see the class."""
        return _register(workspace, "AzureDataLake", datastore_name, overwrite, store_name=store_name)

    @staticmethod
    def register_azure_data_lake_gen2(
        workspace: Any,
        datastore_name: str,
        filesystem: str,
        account_name: str,
        *_: Any,
        overwrite: bool = False,
        **__: Any,
    ) -> Any:
        """Record it; see the class."""
        kind = "AzureDataLakeGen2"
        return _register(workspace, kind, datastore_name, overwrite, filesystem=filesystem, account_name=account_name)

    @staticmethod
    def register_azure_sql_database(
        workspace: Any,
        datastore_name: str,
        server_name: str,
        database_name: str,
        *_: Any,
        overwrite: bool = False,
        **__: Any,
    ) -> Any:
        """Record it; see the class."""
        kind = "AzureSqlDatabase"
        return _register(
            workspace, kind, datastore_name, overwrite, server_name=server_name, database_name=database_name
        )

    @staticmethod
    def register_azure_postgre_sql(
        workspace: Any,
        datastore_name: str,
        server_name: str,
        database_name: str,
        *_: Any,
        overwrite: bool = False,
        **__: Any,
    ) -> Any:
        """Record it; see the class."""
        kind = "AzurePostgreSql"
        return _register(
            workspace, kind, datastore_name, overwrite, server_name=server_name, database_name=database_name
        )

    @staticmethod
    def register_azure_my_sql(
        workspace: Any,
        datastore_name: str,
        server_name: str,
        database_name: str,
        *_: Any,
        overwrite: bool = False,
        **__: Any,
    ) -> Any:
        """Record it; see the class."""
        kind = "AzureMySql"
        return _register(
            workspace, kind, datastore_name, overwrite, server_name=server_name, database_name=database_name
        )

    @staticmethod
    def register_dbfs(workspace: Any, datastore_name: str) -> Any:
        """Record it; see the class."""
        return _register(workspace, "DBFS", datastore_name, False)


def copy_file(source: str, target: str) -> None:
    """Copy the file, making the folders above it; it appears whole."""
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    aside = "{}.{}.part".format(target, os.getpid())
    try:
        shutil.copyfile(source, aside)
        os.replace(aside, target)
    finally:
        if os.path.exists(aside):
            os.unlink(aside)


def _pairs(files: Sequence[str], relative_root: Optional[str]) -> List[Tuple[str, str]]:
    """Each file with its path below the root."""
    paths = [str(file) for file in files]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise user_error("There is no file {!r} in {}.".format(missing[0], os.getcwd()))
    root = relative_root
    if root is None:
        root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]) if paths else os.curdir
    pairs = [(path, os.path.relpath(path, root)) for path in paths]
    outside = [path for path, relative in pairs if relative.startswith(os.pardir)]
    if outside:
        raise user_error("{!r} is not below relative_root {!r}.".format(outside[0], str(root)))
    return pairs


def _joined(target_path: Optional[str], relative: str) -> str:
    return os.path.join(target_path or "", relative)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - v1 printed its progress, and scripts have nothing else to show it by

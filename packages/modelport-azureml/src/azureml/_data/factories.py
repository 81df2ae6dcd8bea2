"""How data sets are made and found."""

import importlib.util
import os
import tempfile
from typing import Any, Dict, List, NoReturn, Optional, Union

from azureml._data.datasets import AbstractDataset, FileDataset, TabularDataset, open_dataset, types_to_json
from azureml._data.errors import validation_error
from azureml._data.paths import files_of, places_of
from azureml._data.reading import nothing_there
from azureml._data.types import DataType, PromoteHeadersBehavior, headers_of
from azureml._errors import user_error

Inference = Union[bool, Dict[str, DataType]]


class TabularDatasetFactory:
    """``Dataset.Tabular``."""

    @staticmethod
    def from_delimited_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: Optional[Dict[str, DataType]] = None,
        separator: str = ",",
        header: Union[bool, PromoteHeadersBehavior] = PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS,
        partition_format: Optional[str] = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
    ) -> TabularDataset:
        """From CSV files and the like; lines within quotes are always read. Raises UserErrorException for an address of
        another machine, for ``partition_format``, and, with ``validate``, where there are no files."""
        _no_partitions(partition_format)
        options = {
            "separator": separator,
            "header": headers_of(header).value,
            "infer_column_types": bool(infer_column_types),
            "types": types_to_json(set_column_types),
            "empty_as_string": empty_as_string,
            "include_path": include_path,
            "encoding": getattr(encoding, "value", encoding),
        }
        return _tabular("delimited", path, validate, options)

    @staticmethod
    def from_parquet_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: Optional[Dict[str, DataType]] = None,
        partition_format: Optional[str] = None,
    ) -> TabularDataset:
        """From Parquet files; as ``from_delimited_files``. Reading them takes pyarrow beside pandas."""
        _no_partitions(partition_format)
        options = {
            "infer_column_types": False,
            "types": types_to_json(set_column_types),
            "include_path": include_path,
        }
        return _tabular("parquet", path, validate, options)

    @staticmethod
    def from_json_lines_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: Optional[Dict[str, DataType]] = None,
        partition_format: Optional[str] = None,
        invalid_lines: str = "error",
        encoding: str = "utf8",
    ) -> TabularDataset:
        """From files with a line of JSON for each row; as ``from_delimited_files``."""
        _no_partitions(partition_format)
        if invalid_lines != "error":
            raise user_error("invalid_lines can only be 'error': a line that is not JSON is not dropped here.")
        options = {
            "infer_column_types": True,
            "types": types_to_json(set_column_types),
            "include_path": include_path,
            "encoding": getattr(encoding, "value", encoding),
        }
        return _tabular("json lines", path, validate, options)

    @staticmethod
    def from_sql_query(*_: Any, **__: Any) -> NoReturn:
        """Raises UserErrorException: no database is asked here."""
        raise user_error("Data sets come from files here. Save the query's result as a CSV file, and use that.")

    @staticmethod
    def register_pandas_dataframe(
        dataframe: Any,
        target: Any,
        name: str,
        description: Optional[str] = None,
        tags: Optional[Dict[str, str]] = None,
        show_progress: bool = True,
    ) -> TabularDataset:
        """Save the data frame on a datastore (``target``: a datastore, or one with a path) and register it.

        As a Parquet file where this Python has pyarrow, else as a CSV file.
        """
        datastore, folder = target if isinstance(target, tuple) else (target, "managed-dataset/" + name)
        has_parquet = importlib.util.find_spec("pyarrow") is not None
        file_name = "data.parquet" if has_parquet else "data.csv"
        with tempfile.TemporaryDirectory(prefix="modelport-dataframe-") as written:
            file = os.path.join(written, file_name)
            if has_parquet:
                dataframe.to_parquet(file)
            else:
                dataframe.to_csv(file, index=False)
            datastore.upload_files([file], written, folder, overwrite=True, show_progress=show_progress)
        path = (datastore, folder + "/" + file_name)
        read = TabularDatasetFactory.from_parquet_files if has_parquet else TabularDatasetFactory.from_delimited_files
        made = read(path)
        return made.register(datastore.workspace, name, description, tags, create_new_version=True)  # type: ignore[no-any-return]


class FileDatasetFactory:
    """``Dataset.File``."""

    @staticmethod
    def from_files(
        path: Any, validate: bool = True, partition_format: Optional[str] = None, is_file: bool = False
    ) -> FileDataset:
        """From files, folders and patterns. Raises UserErrorException for an address of another machine, for
        ``partition_format``, and, with ``validate``, where there are no files."""
        _no_partitions(partition_format)
        return FileDataset(_definition("file", None, path, validate, {}), workspace=_workspace_of(path))

    @staticmethod
    def upload_directory(
        src_dir: str, target: Any, pattern: Optional[str] = None, overwrite: bool = False, show_progress: bool = True
    ) -> FileDataset:
        """Upload a folder to a datastore (``target``: one, or one with a path); the data set of what is there."""
        if pattern is not None:
            raise user_error("pattern is not understood here: upload_files takes a list of files.")
        datastore, folder = (
            target if isinstance(target, tuple) else (target, os.path.basename(os.path.abspath(src_dir)))
        )
        datastore.upload(src_dir, folder, overwrite=overwrite, show_progress=show_progress)
        return FileDatasetFactory.from_files((datastore, folder))


class Dataset(AbstractDataset):
    """Where data sets are made, ``Dataset.Tabular`` and ``Dataset.File``, and found."""

    Tabular = TabularDatasetFactory
    File = FileDatasetFactory

    @staticmethod
    def get_by_name(workspace: Any, name: str, version: Union[int, str] = "latest") -> Any:
        """The registered data set. Raises UserErrorException, naming what there is, where there is none."""
        number = None if version in ("latest", None) else int(version)
        return open_dataset(workspace.access.call("dataset_by_name", name=name, version=number), workspace)

    @staticmethod
    def get_by_id(workspace: Any, id: str, **kwargs: Any) -> Any:
        """The data set that has this id. Raises UserErrorException where the workspace has none."""
        return open_dataset(workspace.access.call("dataset_by_id", id=id), workspace)

    @staticmethod
    def get(workspace: Any, name: Optional[str] = None, id: Optional[str] = None) -> Any:
        """By name or by id, as scripts of 2019 did."""
        return Dataset.get_by_id(workspace, id) if id else Dataset.get_by_name(workspace, str(name))

    @staticmethod
    def get_all(workspace: Any) -> Dict[str, Any]:
        """The newest version of each registered data set, by name."""
        return {each["name"]: open_dataset(each, workspace) for each in workspace.access.call("datasets")}

    @staticmethod
    def list(workspace: Any) -> "List[Any]":
        """The newest version of each registered data set."""
        return [*Dataset.get_all(workspace).values()]


def _tabular(format: str, path: Any, validate: bool, options: Dict[str, Any]) -> TabularDataset:
    return TabularDataset(_definition("tabular", format, path, validate, options), workspace=_workspace_of(path))


def _definition(kind: str, format: Optional[str], path: Any, validate: bool, options: Dict[str, Any]) -> Dict[str, Any]:
    definition = {"kind": kind, "format": format, "places": places_of(path), "options": options, "steps": []}
    if validate and not files_of(definition["places"]):  # type: ignore[arg-type]
        raise validation_error(nothing_there(definition))
    return definition


def _workspace_of(path: Any) -> Any:
    """The workspace of the first datastore among the paths."""
    if isinstance(path, list):
        return next((found for found in map(_workspace_of, path) if found is not None), None)
    datastore = path[0] if isinstance(path, tuple) else getattr(path, "datastore", None)
    return getattr(datastore, "workspace", None)


def _no_partitions(partition_format: Optional[str]) -> None:
    if partition_format is not None:
        raise user_error(
            "partition_format is not understood here. Use include_path=True, and take the columns from the path."
        )

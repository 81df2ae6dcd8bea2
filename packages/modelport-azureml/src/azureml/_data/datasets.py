"""Data sets: a definition (which files, read how), and, once registered, a name and a version in the workspace."""

import copy
import datetime as dt
import json
import os
import random
import tempfile
import uuid
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from azureml._data.consumption import DatasetConsumptionConfig
from azureml._data.datastores import copy_file
from azureml._data.errors import execution_error
from azureml._data.paths import files_of
from azureml._data.reading import nothing_there, read_table
from azureml._data.types import DataType
from azureml._errors import user_error

_IDS = uuid.UUID("6f0d1c1e-6f5c-4f0a-9a4e-2b1a6b0f6a52")
"""Ids are made from definitions: the same files, read the same way, are the same data set."""

_LARGEST_SEED = 2**31


def id_of(definition: Dict[str, Any]) -> str:
    """The id of a definition."""
    return str(uuid.uuid5(_IDS, json.dumps(definition, sort_keys=True)))


class AbstractDataset:
    """What tabular and file data sets have in common."""

    def __init__(
        self, definition: Dict[str, Any], *, workspace: Any = None, registered: Optional[Dict[str, Any]] = None
    ) -> None:
        self._definition = definition
        self._workspace = workspace
        self._registered: Dict[str, Any] = registered or {}

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The same for the same files, read the same way. Its workspace, where it has one, finds the data set by it."""
        if self._workspace is not None and not self._registered:
            return self._saved_in(self._workspace)
        return id_of(self._definition)

    @property
    def name(self) -> Optional[str]:
        """Under which it is registered; None where it is not."""
        return self._registered.get("name")

    @property
    def version(self) -> Optional[int]:
        return self._registered.get("version")

    @property
    def description(self) -> Optional[str]:
        return self._registered.get("description")

    @property
    def tags(self) -> Dict[str, str]:
        return dict(self._registered.get("tags") or {})

    @property
    def data_changed_time(self) -> Optional[dt.datetime]:
        """When the newest of the files was changed; None where there are none."""
        changed = [os.path.getmtime(path) for path, _ in self._files()]
        if not changed:
            return None
        return dt.datetime.fromtimestamp(max(changed), dt.timezone.utc)

    def _saved_in(self, workspace: Any) -> str:
        """Its id, by which the workspace finds it from now on."""
        return str(workspace.access.call("save_dataset", definition=self._definition))

    def _files(self) -> List[Tuple[str, str]]:
        return files_of(self._definition["places"])

    def _with_step(self, *step: Any) -> Any:
        definition = copy.deepcopy(self._definition)
        definition["steps"].append(list(step))
        return type(self)(definition, workspace=self._workspace)

    # --- the workspace ------------------------------------------------------------------------------------------------

    def register(
        self,
        workspace: Any,
        name: str,
        description: Optional[str] = None,
        tags: Optional[Dict[str, str]] = None,
        create_new_version: bool = False,
    ) -> Any:
        """Give it a name in the workspace.

        Raises UserErrorException where the name is another data set's, unless ``create_new_version``.
        """
        registered = workspace.access.call(
            "register_dataset",
            name=name,
            definition=self._definition,
            description=description,
            tags={str(key): str(value) for key, value in (tags or {}).items()},
            create_new_version=create_new_version,
        )
        return type(self)(self._definition, workspace=workspace, registered=registered)

    def update(self, description: Optional[str] = None, tags: Optional[Dict[str, str]] = None) -> None:
        """Replace what is given. Raises UserErrorException where it is not registered."""
        self._change(description=description, tags=tags)

    def add_tags(self, tags: Dict[str, str]) -> None:
        """Add tags, or give them new values."""
        self._change(tags={**self.tags, **tags})

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        self._change(tags={key: value for key, value in self.tags.items() if key not in tags})

    def _change(self, **changes: Any) -> None:
        if self.name is None:
            raise user_error("The data set is not registered: dataset.register(workspace, name) comes first.")
        self._registered = self._workspace.access.call(
            "change_dataset", name=self.name, version=self.version, **changes
        )

    def unregister_all_versions(self) -> None:
        """Take the name, with all its versions, from the workspace; files stay."""
        if self.name is not None:
            self._workspace.access.call("unregister_dataset", name=self.name)
        self._registered = {}

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """It as an input of a script, under that name in ``run.input_datasets``."""
        return DatasetConsumptionConfig(name, self)

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """Raises UserErrorException: files as such are no table."""
        raise user_error(
            "A FileDataset is no table. Dataset.Tabular.from_delimited_files(path) makes one of its files."
        )

    # --- choosing -----------------------------------------------------------------------------------------------------

    def take(self, count: int) -> Any:
        """The first rows, or files."""
        return self._with_step("take", count)

    def skip(self, count: int) -> Any:
        """All but the first rows, or files."""
        return self._with_step("skip", count)

    def take_sample(self, probability: float, seed: Optional[int] = None) -> Any:
        """Each row, or file, with that probability."""
        return self._with_step("split", probability, _seed(seed), 0)

    def random_split(self, percentage: float, seed: Optional[int] = None) -> Tuple[Any, Any]:
        """Two data sets: each row, or file, is in the first with the probability ``percentage``, else in the second."""
        chosen = _seed(seed)
        return self._with_step("split", percentage, chosen, 0), self._with_step("split", percentage, chosen, 1)

    def __repr__(self) -> str:
        shown = {"source": [place["path"] for place in self._definition["places"]], "definition": self._definition}
        if self._registered:
            shown["registration"] = {"id": self.id, "name": self.name, "version": self.version}
        return "{}\n{}".format(type(self).__name__, json.dumps(shown, indent=2))


class TabularDataset(AbstractDataset):
    """Rows and columns from files."""

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """The data frame. With ``on_error="fail"`` a value that is not of its column's type is an error, not null.

        Raises UserErrorException where there are no files, or no pandas.
        """
        return read_table(self._definition, on_error=on_error)

    def keep_columns(self, columns: Union[str, Sequence[str]], validate: bool = False) -> "TabularDataset":
        """Only these columns, in this order."""
        return self._with_step("keep columns", _listed(columns))  # type: ignore[no-any-return]

    def drop_columns(self, columns: Union[str, Sequence[str]]) -> "TabularDataset":
        """All but these columns."""
        return self._with_step("drop columns", _listed(columns))  # type: ignore[no-any-return]

    def with_column_types(self, types: Dict[str, DataType]) -> "TabularDataset":
        """The same with these columns of these types."""
        definition = copy.deepcopy(self._definition)
        definition["options"]["types"].update(types_to_json(types))
        return TabularDataset(definition, workspace=self._workspace)


class FileDataset(AbstractDataset):
    """Files."""

    def _files(self) -> List[Tuple[str, str]]:
        files = super()._files()
        for step in self._definition["steps"]:
            if step[0] == "split":
                chance = random.Random(step[2])  # noqa: S311 - it divides files
                files = [file for file in files if (chance.random() < step[1]) == (step[3] == 0)]
            else:
                files = files[: step[1]] if step[0] == "take" else files[step[1] :]
        return files

    def to_path(self) -> List[str]:
        """The paths of the files below the data set, such as ``/a/b.csv``."""
        return ["/" + relative for _, relative in self._files()]

    def download(
        self, target_path: Optional[str] = None, overwrite: bool = False, ignore_not_found: bool = False
    ) -> List[str]:
        """Copy the files into a folder, by default a new temporary one; returns their paths there.

        Raises UserErrorException where one is there already and not ``overwrite``, or where there are no files.
        """
        files = self._files()
        if not files and not ignore_not_found:
            raise execution_error(nothing_there(self._definition))
        folder = target_path or tempfile.mkdtemp(prefix="modelport-dataset-")
        targets = [os.path.abspath(os.path.join(folder, relative)) for _, relative in files]
        taken = [target for target in targets if os.path.exists(target)]
        if taken and not overwrite:
            raise user_error("{} is there already. Use overwrite=True.".format(taken[0]))
        for (source, _), target in zip(files, targets):
            copy_file(source, target)
        return targets

    def mount(self, mount_point: Optional[str] = None, **kwargs: Any) -> "MountContext":
        """The files as links in a folder, by default a new temporary one, while the context is open."""
        return MountContext(self, mount_point)

    def as_mount(self, path_on_compute: Optional[str] = None) -> DatasetConsumptionConfig:
        """It as a path for a script: a folder with links to the files."""
        return DatasetConsumptionConfig(None, self).as_mount(path_on_compute)

    def as_download(self, path_on_compute: Optional[str] = None) -> DatasetConsumptionConfig:
        """It as a path for a script: a folder with copies of the files."""
        return DatasetConsumptionConfig(None, self).as_download(path_on_compute)


class MountContext:
    """Links to the files of a data set, from ``start`` (or the beginning of a ``with`` block) to ``stop``."""

    def __init__(self, dataset: FileDataset, mount_point: Optional[str]) -> None:
        self._dataset = dataset
        self.mount_point = mount_point or tempfile.mkdtemp(prefix="modelport-mount-")
        self._links: List[str] = []

    def start(self) -> None:
        """Raises UserErrorException where something is in the way."""
        for source, relative in self._dataset._files():
            link = os.path.join(self.mount_point, relative)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            try:
                os.symlink(os.path.abspath(source), link)
            except FileExistsError:
                raise user_error("{} is in the way of the mount: give another mount_point.".format(link))
            self._links.append(link)

    def stop(self) -> None:
        """Remove the links, and the folders that are empty then."""
        for link in self._links:
            if os.path.islink(link):
                os.unlink(link)
        self._links = []
        for folder, _, _ in os.walk(self.mount_point, topdown=False):
            if not os.listdir(folder):
                os.rmdir(folder)

    def __enter__(self) -> "MountContext":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


def types_to_json(types: Optional[Dict[str, DataType]]) -> Dict[str, Any]:
    return {name: {"kind": each.kind, "formats": each.formats} for name, each in (types or {}).items()}


def _listed(columns: Union[str, Sequence[str]]) -> List[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _seed(seed: Optional[int]) -> int:
    """A seed: a split must divide alike whenever it is read."""
    return random.randrange(_LARGEST_SEED) if seed is None else seed  # noqa: S311


def open_dataset(described: Dict[str, Any], workspace: Any) -> AbstractDataset:
    """The data set of a description: its definition, and what it is registered as."""
    definition = described["definition"]
    kind = TabularDataset if definition["kind"] == "tabular" else FileDataset
    registered = described if described.get("name") else None
    return kind(definition, workspace=workspace, registered=registered)

"""The files of a run as its members: upload, list, download."""

import os
import shutil
from typing import Any, Dict, List, Optional, Sequence

from azureml._errors import user_error
from azureml._runs.folder import RunFolder

_LOGS = ("azureml-logs/", "logs/", "user_logs/", "system_logs/")


class Uploaded:
    """What was kept of an upload."""

    def __init__(self, artifacts: Dict[str, str]) -> None:
        self.artifacts = artifacts
        """Names, with the path of each."""

    def serialize(self) -> Dict[str, Any]:
        """As JSON takes it."""
        return {"artifacts": {name: {"path": path} for name, path in self.artifacts.items()}}


class RunFileMembers:
    """What can be done with the files of a run."""

    _folder: RunFolder

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> "Uploaded":
        """Keep a file, or what a stream holds, as the run's file ``name``. ``datastore_name`` is not needed: files of a
        run are in its folder. What is returned tells the name and path of what is kept.

        Raises UserErrorException where there is no such file, or the run has one of that name.
        """
        self._folder.files.add(name, path_or_stream)
        return Uploaded({name: str(self._folder.files.path(name))})

    def upload_files(
        self,
        names: Sequence[str],
        paths: Sequence[str],
        return_artifacts: bool = False,
        timeout_seconds: Optional[int] = None,
        datastore_name: Optional[str] = None,
    ) -> None:
        """As ``upload_file``, for pairs of name and path."""
        if isinstance(names, str) or len(names) != len(paths):
            raise user_error("names and paths must be lists of the same length.")
        for name, path in zip(names, paths):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        """Keep every file of a folder below the name ``name``."""
        self._folder.files.add_folder(name, path)

    def get_file_names(self) -> List[str]:
        """The names of the run's files, sorted: uploads, logs, and what the script has in ``outputs`` and ``logs``."""
        return self._folder.files.names()

    def download_file(
        self, name: str, output_file_path: Optional[str] = None, _validate_checksum: bool = False
    ) -> None:
        """Copy a file of the run, by default into the working directory under the last part of its name.

        Raises UserErrorException, naming the files that there are, where there is none of that name.
        """
        source = self._folder.files.path(name)
        target = output_file_path or os.path.basename(name)
        if os.path.isdir(target) or str(target).endswith("/"):
            target = os.path.join(target, os.path.basename(name))
        _copy(source, str(target))

    def download_files(
        self,
        prefix: Optional[str] = None,
        output_directory: Optional[str] = None,
        output_paths: Optional[Sequence[str]] = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: Optional[int] = None,
    ) -> None:
        """Copy the files below ``prefix`` (all without one) into ``output_directory`` (the working directory), or to
        ``output_paths``, one for each. Without ``append_prefix`` the prefix is left out of their names there."""
        found = self._folder.files.below(prefix or "")
        if output_paths is not None:
            if len(output_paths) != len(found):
                raise user_error(
                    "output_paths has {} paths for the {} files {}.".format(
                        len(output_paths), len(found), ", ".join(found)
                    )
                )
            targets = dict(zip(found, output_paths))
        else:
            targets = {name: _target(name, prefix or "", append_prefix) for name in found}
        for name, path in found.items():
            _copy(path, os.path.join(output_directory or "", targets[name]))

    def get_all_logs(self, destination: Optional[str] = None) -> List[str]:
        """Copy the logs into the folder ``destination`` (by default one named after the run); returns their paths."""
        folder = destination or self._folder.run_id
        copied = []
        for name, path in self._log_files().items():
            copied.append(os.path.join(folder, name))
            _copy(path, copied[-1])
        return copied

    def _log_files(self) -> Dict[str, str]:
        return {name: path for name, path in self._folder.files.below("").items() if name.startswith(_LOGS)}


def _target(name: str, prefix: str, append_prefix: bool) -> str:
    cleaned = prefix.strip("./")
    if append_prefix or not cleaned:
        return name
    return name[len(cleaned) + 1 :] or os.path.basename(name)


def _copy(source: str, target: str) -> None:
    folder = os.path.dirname(target)
    if folder:
        os.makedirs(folder, exist_ok=True)
    shutil.copyfile(source, target)

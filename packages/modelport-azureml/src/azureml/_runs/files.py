"""The files of a run, by names such as ``outputs/model.pkl``.

They are in the folder ``files`` of the run. While a submitted script runs, what it has written into its ``./outputs``
and ``./logs`` so far counts too, as in v1, which sent it while the script ran; when the script ends it is moved there.
"""

import contextlib
import os
import shutil
import threading
from typing import Any, Dict, Iterator, List, Optional

from azureml._errors import user_error

FILES = "files"
WORK = "work"
KEPT = ("outputs", "logs")
"""The folders below a script's working directory whose files become files of the run."""

LISTED = 50
_PIECE = 1024 * 1024


class RunFiles:
    """The files below a run's folder."""

    def __init__(self, run_folder: str) -> None:
        self._kept = os.path.join(run_folder, FILES)
        self._work = os.path.join(run_folder, WORK)
        self._run_id = os.path.basename(run_folder)

    # --- looking ------------------------------------------------------------------------------------------------------

    def names(self) -> List[str]:
        """All names, sorted."""
        return sorted(self._paths())

    def path(self, name: str) -> str:
        """Where the file is. Raises UserErrorException, naming the files that there are."""
        paths = self._paths()
        found = paths.get(clean_name(name))
        if found is None:
            raise user_error(
                "File with path {} was not found,\navailable files include: {}.".format(name, _listed(sorted(paths)))
            )
        return found

    def below(self, prefix: str) -> Dict[str, str]:
        """Name and path of each file below the folder ``prefix``, or of the file of that name; of all for ``""``."""
        wanted = clean_name(prefix) if prefix.strip("./") else ""
        return {
            name: path
            for name, path in sorted(self._paths().items())
            if not wanted or name == wanted or name.startswith(wanted + "/")
        }

    def _paths(self) -> Dict[str, str]:
        """What was kept under a name is not replaced by what the script wrote under the same one."""
        found: Dict[str, str] = {}
        for kept in KEPT:
            root = os.path.join(self._work, kept)
            found.update({kept + "/" + name: os.path.join(root, name) for name in files_below(root)})
        found.update({name: os.path.join(self._kept, name) for name in files_below(self._kept)})
        return found

    # --- adding -------------------------------------------------------------------------------------------------------

    def reserve(self, name: str) -> str:
        """The path to write a file of ours to, such as a log."""
        path = os.path.join(self._kept, clean_name(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def add(self, name: str, source: Any) -> None:
        """Copy a file (a path), or what a stream holds, under that name; it appears whole.

        Raises UserErrorException where there is no such file, or where the name is taken: files of a run never change.
        """
        cleaned = clean_name(name)
        target = os.path.join(self._kept, cleaned)
        if os.path.lexists(target):
            raise user_error(
                "Resource Conflict: ArtifactId ExperimentRun/dcid.{}/{} already exists. Files of a run do not change: "
                "give another name.".format(self._run_id, cleaned)
            )
        if not hasattr(source, "read") and not os.path.isfile(source):
            raise user_error("There is no file {!r} in {}.".format(str(source), os.getcwd()))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # beside the files, so not among them
        aside = "{}.incoming.{}.{}".format(self._kept, os.getpid(), threading.get_ident())
        try:
            _copy(source, aside)
            os.link(aside, target)  # unlike a rename, it never replaces what somebody else has just put there
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(aside)

    def add_folder(self, name: str, folder: str) -> None:
        """Add every file of the folder below ``name``. Raises UserErrorException where there is no such folder."""
        if not os.path.isdir(folder):
            raise user_error("There is no folder {!r} in {}.".format(str(folder), os.getcwd()))
        for relative in sorted(files_below(folder)):
            self.add(name + "/" + relative, os.path.join(folder, relative))

    def keep_written(self, directory: str, *, since: Optional[float] = None, move: bool = False) -> None:
        """Keep what is in ``outputs`` and ``logs`` below the directory, but nothing under a name that is taken.

        With ``since`` (seconds since the epoch), only what was written after it. ``move``: the directory is ours.
        """
        for kept in KEPT:
            root = os.path.join(directory, kept)
            for relative in files_below(root):
                path = os.path.join(root, relative)
                target = os.path.join(self._kept, kept, relative)
                if os.path.lexists(target) or (since is not None and _changed(path) < since):
                    continue
                if move and not os.path.islink(path):
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    os.rename(path, target)
                else:
                    self.add(kept + "/" + relative, path)


def clean_name(name: str) -> str:
    """The name with ``/`` between its parts and no ``.`` among them. Raises UserErrorException for one that leaves."""
    parts = [part for part in str(name).replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or os.path.isabs(str(name)):
        raise user_error(
            "{!r} cannot name a file of a run: give a relative name such as 'outputs/model.pkl'.".format(str(name))
        )
    return "/".join(parts)


def files_below(folder: str) -> Iterator[str]:
    """The relative names of all files below the folder, with ``/``; nothing where there is no such folder."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder).replace(os.sep, "/")


def _changed(path: str) -> float:
    """When the file came to be what it is, seconds since the epoch; a copy may have the modification time of old."""
    status = os.stat(path)
    return max(status.st_mtime, status.st_ctime)


def _copy(source: Any, target: str) -> None:
    if not hasattr(source, "read"):
        shutil.copyfile(source, target)
        return
    with open(target, "wb") as file:
        while True:
            piece = source.read(_PIECE)
            if not piece:
                return
            file.write(piece.encode("utf-8") if isinstance(piece, str) else piece)


def _listed(names: List[str]) -> str:
    return ",".join(names[:LISTED]) + (", …" if len(names) > LISTED else "") if names else "none"

"""Which files a data set has: from what v1 took as a path, to the files on this machine."""

import glob
import os
import re
from typing import Any, Dict, List, Tuple
from urllib.parse import unquote, urlsplit

from azureml._data.references import DataPath, DataReference
from azureml._errors import user_error

_WILDCARD = re.compile(r"[*?\[]")
_HOW = (
    "A path is a file, a folder or a pattern on this machine, or on a datastore: (datastore, 'weather/*.csv'). "
    "Download what is elsewhere, and give the path of the file."
)


def places_of(path: Any) -> List[Dict[str, str]]:
    """The places of one path or a list of them, as JSON: ``root``, a folder, and ``path`` below it.

    Raises UserErrorException for an address of another machine, or what is no path.
    """
    if isinstance(path, list):
        return [place for each in path for place in places_of(each)]
    return [_place(path)]


def _place(path: Any) -> Dict[str, str]:
    if isinstance(path, tuple) and len(path) == 2:
        return _on_datastore(path[0], path[1])
    if isinstance(path, (DataPath, DataReference)) and path.datastore is not None:
        return _on_datastore(path.datastore, path.path_on_datastore or "")
    if isinstance(path, DataPath):
        return _local(path.path_on_datastore or "")
    if isinstance(path, (str, os.PathLike)):
        return _local(os.fspath(path))
    raise user_error("{!r} is no path. {}".format(path, _HOW))


def _on_datastore(datastore: Any, path: str) -> Dict[str, str]:
    if not hasattr(datastore, "folder"):
        raise user_error("{!r} is no datastore. {}".format(datastore, _HOW))
    return {"root": datastore.folder, "path": path.lstrip("/"), "datastore": datastore.name}


def _local(path: str) -> Dict[str, str]:
    parts = urlsplit(path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return {"root": "/", "path": unquote(parts.path).lstrip("/")}
    if "://" in path:
        raise user_error("{} is not on this machine, and nothing is fetched from elsewhere. {}".format(path, _HOW))
    return {"root": "/", "path": os.path.abspath(os.path.expanduser(path)).lstrip("/")}


def files_of(places: List[Dict[str, str]]) -> List[Tuple[str, str]]:
    """Each file, and its path below what was asked for: a folder, the part of a pattern before its wildcards, or, of a
    single file, its folder. Sorted within a place."""
    return [each for place in places for each in _files(os.path.join(place["root"], place["path"]))]


def _files(path: str) -> List[Tuple[str, str]]:
    if os.path.isdir(path):
        return _below(path, path)
    if os.path.exists(path) or not _WILDCARD.search(path):
        return [(path, os.path.basename(path))] if os.path.exists(path) else []
    base = os.path.dirname(path[: _WILDCARD.search(path).start()] + "x")  # type: ignore[union-attr]
    found: List[Tuple[str, str]] = []
    for match in sorted(glob.glob(path, recursive=True)):
        found += _below(match, base) if os.path.isdir(match) else [(match, os.path.relpath(match, base))]
    return sorted(set(found))


def _below(folder: str, base: str) -> List[Tuple[str, str]]:
    found = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    return [(path, os.path.relpath(path, base)) for path in sorted(found)]


def described(places: List[Dict[str, str]]) -> str:
    """The places for a message."""
    return ", ".join(
        "{} on the datastore {}".format(place["path"] or "/", place["datastore"])
        if place.get("datastore")
        else os.path.join(place["root"], place["path"])
        for place in places
    )

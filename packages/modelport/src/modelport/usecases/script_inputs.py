"""The inputs of a submitted script, made ready as paths before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from azureml._data.datasets import FileDataset
from azureml._data.references import DOWNLOAD, UPLOAD
from modelport.domain.errors import UserErrorException
from modelport.usecases.submission import Input

FOLDER = "inputs"


def lay_inputs(inputs: Sequence[Input], *, run: Path, work: Path) -> dict[str, str]:
    """Put each input where the script gets it; returns the paths by name.

    Raises UserErrorException where files are missing, or something is in the way.
    """
    return {each.name: str(_lay(each, _place(each, run, work))) for each in inputs}


def _place(given: Input, run: Path, work: Path) -> Path:
    if given.path_on_compute:
        return work / given.path_on_compute.lstrip("/")
    return run / FOLDER / given.name


def _lay(given: Input, place: Path) -> Path:
    if place.exists() and given.path_on_compute:
        raise UserErrorException(
            f"path_on_compute {given.path_on_compute!r} of the input {given.name!r} is in the source folder already.",
            hint="Give another path_on_compute, or none.",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    if given.definition is not None:
        return _lay_dataset(given, given.definition, place)
    source = Path(given.path or "")
    if given.mode == UPLOAD:
        source.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        raise UserErrorException(f"The input {given.name!r} is not there: {source}.", hint="Upload it first.")
    if given.mode == DOWNLOAD:
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, place)
        return place
    if given.path_on_compute:
        place.symlink_to(source)
        return place
    return source


def _lay_dataset(given: Input, definition: Mapping[str, object], place: Path) -> Path:
    dataset = FileDataset(dict(definition))
    folder = _whole_folder(definition)
    if folder is not None and given.mode != DOWNLOAD:
        place.symlink_to(folder)
        return place
    place.mkdir(exist_ok=True)
    if given.mode == DOWNLOAD:
        dataset.download(str(place))
        return place
    for source, relative in dataset._files():
        link = place / relative
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(source).absolute())
    return place


def _whole_folder(definition: Mapping[str, object]) -> Path | None:
    """The folder that the data set is, where it is one as a whole."""
    places, steps = definition["places"], definition["steps"]
    if steps or not isinstance(places, list) or len(places) != 1:
        return None
    path = Path(places[0]["root"], places[0]["path"])
    return path if path.is_dir() else None

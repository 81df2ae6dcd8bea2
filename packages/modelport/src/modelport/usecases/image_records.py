"""What was brought to a registry or a store for revisions of a workspace: a change of settings asks nobody again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport.domain.errors import ModelportError
from modelport.domain.progress import Progress
from modelport.images.base_choice import VARIABLE as BASE_VARIABLE
from modelport.images.pythons import VARIABLE as PYTHON_VARIABLE
from modelport.targets.kubernetes.settings import ServingImage
from modelport_scoring.version import __version__

_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class _Record:
    format: int
    brought_to: str
    image: ServingImage
    made_by: str = ""


def maker() -> str:
    """What an image that is made now has of this program and its settings, beside what the bundle says."""
    bases = (f"{name}={os.environ[name]}" for name in (BASE_VARIABLE, PYTHON_VARIABLE) if os.environ.get(name))
    return " ".join((f"Modelport {__version__}", *bases))


@dataclass(frozen=True)
class ImageRecords:
    """A file for each, which only its owner may read: an address may be signed."""

    folder: Path

    def image(
        self, name: str, make: Callable[[], ServingImage], *, brought_to: str, starts: bool, progress: Progress
    ) -> ServingImage:
        """The image of that name, which ``make`` makes and brings there where nobody did. Where the service starts with
        it, also where another Modelport made it, or one with other bases: if that fails, it starts with the old one,
        which is told."""
        record = self._record(name, brought_to)
        if record is not None and (not starts or record.made_by == maker()):
            return record.image
        try:
            image = make()
        except ModelportError as error:
            if record is None:
                raise
            progress.step(
                f"The image cannot be made anew, so the service starts with {record.image.reference}, which "
                f"{record.made_by or 'an earlier Modelport'} made: {error.message}"
            )
            return record.image
        self.keep(name, image, brought_to=brought_to)
        return image

    def find(self, name: str, *, brought_to: str) -> ServingImage | None:
        """The image of that name; None where it was not brought there, or nobody knows."""
        record = self._record(name, brought_to)
        return None if record is None else record.image

    def _record(self, name: str, brought_to: str) -> _Record | None:
        try:
            record = msgspec.json.decode(self._file(name).read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError):
            return None
        return record if (record.format, record.brought_to) == (_FORMAT, brought_to) else None

    def keep(self, name: str, image: ServingImage, *, brought_to: str) -> None:
        """Write down that it was brought there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(name)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        record = _Record(format=_FORMAT, brought_to=brought_to, image=image, made_by=maker())
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(file)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

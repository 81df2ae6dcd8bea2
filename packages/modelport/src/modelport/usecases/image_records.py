"""What was brought to a registry or a store for revisions of a workspace: a change of settings asks nobody again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport.targets.kubernetes.settings import ServingImage

_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class _Record:
    format: int
    brought_to: str
    image: ServingImage


@dataclass(frozen=True)
class ImageRecords:
    """A file for each, which only its owner may read: an address may be signed."""

    folder: Path

    def find(self, name: str, *, brought_to: str) -> ServingImage | None:
        """The image of that name; None where it was not brought there, or nobody knows."""
        try:
            record = msgspec.json.decode(self._file(name).read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError):
            return None
        return record.image if (record.format, record.brought_to) == (_FORMAT, brought_to) else None

    def keep(self, name: str, image: ServingImage, *, brought_to: str) -> None:
        """Write down that it was brought there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(name)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(_Record(format=_FORMAT, brought_to=brought_to, image=image)))
        draft.replace(file)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

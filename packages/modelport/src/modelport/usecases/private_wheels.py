"""Wheels that are kept with a workspace, for environments that cannot have them from an index (reference, 2.4)."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from pathlib import Path

from modelport.domain.errors import UserErrorException

_FOLDER = "wheels"


def keep_wheel(workspace: Path, wheel: Path, *, exist_ok: bool) -> str:
    """Copy the wheel into the workspace's folder; returns its ``file:`` URL, which a pip list may hold.

    With ``exist_ok`` one of the same name is left as it is if it is the same file, and replaced if not. Raises
    FileNotFoundError, and UserErrorException for what is no wheel, or one that is there and not ``exist_ok``.
    """
    if wheel.suffix != ".whl":
        raise UserErrorException(f"{wheel} is no wheel: its name must end in .whl.", hint="Build one: pip wheel.")
    if not wheel.is_file():
        raise FileNotFoundError(f"There is no wheel {wheel}.")
    target = workspace / _FOLDER / wheel.name
    if target.exists() and not exist_ok:
        raise UserErrorException(f"The wheel {wheel.name} is kept already.", hint="Use exist_ok=True to replace it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (target.exists() and filecmp.cmp(wheel, target, shallow=False)):
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as aside:  # others may keep the same one
            draft = Path(aside) / wheel.name
            shutil.copyfile(wheel, draft)
            draft.replace(target)
    return target.as_uri()

"""Which scikit-learn wrote a pickle, without loading it.

Estimators put ``_sklearn_version`` into their state. In the pickle that is a string opcode with the key, perhaps a
memo opcode, and a string opcode with the value; joblib files hold raw arrays between their opcodes, so the bytes are
searched rather than disassembled. Nothing of the file is executed.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

_KEY = rb"_sklearn_version"
_MEMO = rb"(?:q.|r.{4}|\x94|p\d+\n)?"
_VALUE = rb"(?:X.{4}|\x8c.|U.|V)([0-9]+(?:\.[0-9a-z]+)+)"
_PATTERN = re.compile(_KEY + rb"\n?" + _MEMO + _VALUE, re.DOTALL)


def pickled_with(path: Path) -> str:
    """The version, or an empty text where the file does not tell or is compressed."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _PATTERN.search(content)
            return found[1].decode("ascii") if found else ""
    except (OSError, ValueError):  # an empty file cannot be mapped
        return ""

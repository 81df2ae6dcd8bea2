"""Which files of a source folder a snapshot leaves out: the rules of ``.amlignore``, or of ``.gitignore``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FILES = (".amlignore", ".gitignore")
"""The first that is there counts, as in v1."""

_SPECIAL = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKEN = re.compile(r"\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^]]+]|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    folders_only: bool
    takes_back: bool


class IgnoreRules:
    """The rules of one source folder."""

    def __init__(self, lines: list[str]) -> None:
        self._rules = [rule for rule in map(_rule, lines) if rule is not None]

    @classmethod
    def of(cls, folder: Path) -> IgnoreRules:
        """The rules that the folder has; none where it has no such file."""
        for name in FILES:
            if (folder / name).is_file():
                return cls((folder / name).read_text(encoding="utf-8", errors="replace").splitlines())
        return cls([])

    def ignores(self, relative: str, *, is_folder: bool) -> bool:
        """Whether the last rule that fits leaves the file or folder out."""
        ignored = False
        for rule in self._rules:
            if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(relative):
                ignored = not rule.takes_back
        return ignored


def _rule(line: str) -> _Rule | None:
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None
    takes_back = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\") if takes_back or text.startswith("\\#") else text
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    expression = "".join(map(_expression, _TOKEN.findall(text.lstrip("/"))))
    return _Rule(re.compile(("" if anchored else "(?:.*/)?") + expression), folders_only, takes_back)


def _expression(token: str) -> str:
    if token in _SPECIAL:
        return _SPECIAL[token]
    if token.startswith("[") and token.endswith("]"):
        return "[^" + token[2:] if token.startswith("[!") else token
    return re.escape(token.removeprefix("\\")) if token.startswith("\\") and len(token) == 2 else re.escape(token)

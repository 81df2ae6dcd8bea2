"""The commands of ``az-ml``, as the file beside this module has them."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple


class Option(NamedTuple):
    """An option of a command."""

    names: List[str]
    """Its spellings, the longest first; none for the words that follow the options."""
    kind: str
    """``value``, ``list`` (repeatable), ``switch`` (no value), ``truth`` (true or false) or ``words``."""
    help: str
    required: bool
    choices: List[str]

    @property
    def destination(self) -> str:
        """The name under which its value is handed on."""
        return self.names[0].lstrip("-").replace("-", "_") if self.names else "words"

    def spelled(self, value: Any) -> List[str]:
        """The arguments of ``az-ml`` that say this; none where nothing was said."""
        if value is None or value is False:
            return []
        if self.kind == "words":
            return [str(word) for word in value]
        if self.kind == "switch":
            return [self.names[0]]
        values = [each for given in value for each in given] if self.kind == "list" else [value]
        if self.names[0].startswith("--"):
            return ["{}={}".format(self.names[0], each) for each in values]
        return [word for each in values for word in (self.names[0], str(each))]


class Command(NamedTuple):
    """A command."""

    help: str
    more: str
    options: List[Option]

    def arguments(self, given: Dict[str, Any]) -> List[str]:
        """The arguments that hand on what was given, by the options' destinations; words come last."""
        ordered = sorted(self.options, key=lambda option: option.kind == "words")
        return [word for option in ordered for word in option.spelled(given.get(option.destination))]


def _read() -> Any:
    return json.loads((Path(__file__).parent / "commands.json").read_text(encoding="utf-8"))


def _option(content: Dict[str, Any]) -> Option:
    return Option(
        content["names"],
        content["kind"],
        content["help"],
        bool(content.get("required")),
        list(content.get("choices", ())),
    )


_content = _read()
GROUPS: Dict[str, str] = _content["groups"]
COMMANDS: Dict[str, Command] = {
    name: Command(command["help"], command["more"], [_option(option) for option in command["options"]])
    for name, command in _content["commands"].items()
}

"""What ``az`` loads: the commands with their options and help texts."""

import json
from typing import Any, Dict, List

from azure.cli.core import AzCommandsLoader
from azure.cli.core.commands import CliCommandType
from knack.help_files import helps

from azext_modelport.command_table import COMMANDS, GROUPS, Option

for _name, _text in GROUPS.items():
    helps[_name] = json.dumps({"type": "group", "short-summary": _text})
for _name, _command in COMMANDS.items():
    helps[_name] = json.dumps({"type": "command", "short-summary": _command.help, "long-summary": _command.more})


class MachineLearningCommands(AzCommandsLoader):
    """Adds the commands to those of ``az``."""

    __module__ = "azext_modelport"
    """Where ``az`` looks for the loader, by the index of commands that it keeps."""

    def __init__(self, cli_ctx: Any = None) -> None:
        super().__init__(cli_ctx=cli_ctx)

    def load_command_table(self, args: List[str]) -> Any:
        """Every command, each run by one function."""
        operation = CliCommandType(operations_tmpl="azext_modelport.running#{}")
        with self.command_group("", operation) as group:
            for name in COMMANDS:
                group.command(name, "run_command")
        return self.command_table

    def load_arguments(self, command: str) -> None:
        """The options of the command that is about to run."""
        if command not in COMMANDS:
            return
        with self.argument_context(command) as context:
            context.ignore("_subscription")  # the host's: --subscription is short for our --subscription-id
            for option in COMMANDS[command].options:
                _add(context, option)


_KINDS: Dict[str, Dict[str, Any]] = {
    "value": {},
    "list": {"nargs": "+", "action": "append"},
    "switch": {"action": "store_true"},
    "truth": {"nargs": "?", "const": "true", "type": str.lower},
}


def _add(context: Any, option: Option) -> None:
    if option.kind == "words":
        context.positional(option.destination, nargs="...", help=option.help)
        return
    settings = dict(_KINDS[option.kind], help=option.help, required=option.required)
    if option.choices:
        settings["choices"] = option.choices
    context.extra(option.destination, options_list=option.names, **settings)  # noqa: S610 - no database here

"""A command group whose members are imported only when one of them is called.

Imports belong at the top of a module, and a command line must start fast: so each group of commands is a module of its
own, and the root knows only its name and one line of help.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_GROUPS = {
    "deploy": "Deploy a script and a model on this machine, with defaults for everything else.",
    "workspace": "Create, list, show and delete workspaces.",
    "folder": "Attach a folder to a workspace, so that commands in it need no --workspace-name.",
    "model": "Register, list, download, change, delete, deploy and package models.",
    "k8s": "Print the Kubernetes manifests of a service.",
    "package": "Package models as a folder that builds an image anywhere.",
    "images": "See to the folder in which images are made, for all workspaces.",
    "environment": "Write, register, list and download environments.",
    "compute": "Attach clusters, list and detach them.",
    "service": "Use and change the services that were deployed.",
    "migrate": "See what of a v1 project runs, and take its models and environments over.",
    "up": "Start every service that should run and does not, after a reboot for example.",
    "az": "Print what makes `az ml` call this Modelport in your shell.",
    "doctor": "Check what on this machine would stop a deployment.",
}
"""Name of the command, which is the name of its module in this package too, and its line of help."""


class LazyGroup(TyperGroup):
    """The root of the command line ``modelport``."""

    members: ClassVar[Mapping[str, str]] = _GROUPS
    package: ClassVar[str] = "modelport.cli"

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows its name and its help: enough to be listed."""
        help_line = self.members.get(cmd_name)
        return None if help_line is None else TyperCommand(cmd_name, short_help=help_line)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The real command, its module imported. Where there is none, the error names those that are like it."""
        self.commands = {member: stand_in for member in self.members if (stand_in := self.get_command(ctx, member))}
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, stand_in and self.load(str(name)), rest

    @classmethod
    def load(cls, name: str) -> Any:
        """The command ``name`` with everything below it."""
        application: typer.Typer = importlib.import_module(f"{cls.package}.{name}").app
        command = get_command(application)
        command.name = name
        return command


def load(name: str) -> Any:
    """The command ``name`` of ``modelport`` with everything below it."""
    return LazyGroup.load(name)


def names() -> list[str]:
    """The commands of the root, in the order of its help."""
    return list(_GROUPS)

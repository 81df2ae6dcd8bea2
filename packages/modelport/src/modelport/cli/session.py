"""The options that every command has, and what they give it: a workspace, notes on stderr, the result on stdout."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from modelport.cli import output
from modelport.cli.errors import Stopped
from modelport.cli.output import Format, Result
from modelport.composition import workspace_exists
from modelport.domain.errors import UserErrorException
from modelport.sdk.console import Console
from modelport.sdk.model import Model
from modelport.sdk.webservice import Webservice
from modelport.sdk.workspace import Workspace
from modelport.sdk.workspace_config import read_config
from modelport.usecases.wait import wait_for_deployment

DEFAULT_WORKSPACE = "default"
"""The one that is meant where nothing names one: ``modelport deploy`` makes it, every other command only finds it."""

_OUTPUT, _WORKSPACE = "Output", "Workspace"
LongVerbose = Annotated[
    bool, typer.Option("--verbose", help="Say more on stderr: which workspace, where.", rich_help_panel=_OUTPUT)
]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the command line."""

    workspace_name: Annotated[
        str | None,
        typer.Option("--workspace-name", "-w", help="Name of the workspace.", rich_help_panel=_WORKSPACE),
    ] = None
    resource_group: Annotated[
        str | None,
        typer.Option("--resource-group", "-g", help="A label of the workspace.", rich_help_panel=_WORKSPACE),
    ] = None
    subscription_id: Annotated[
        str | None, typer.Option("--subscription-id", help="A label of the workspace.", rich_help_panel=_WORKSPACE)
    ] = None
    path: Annotated[
        str,
        typer.Option(
            "--path",
            help="Folder whose config.json (or a folder's above it) names the workspace, where --workspace-name is "
            'not given; where there is none either, it is the workspace "default", if there is one.',
            rich_help_panel=_WORKSPACE,
        ),
    ] = "."
    output: Annotated[
        Format | None,
        typer.Option(
            "--output",
            "-o",
            help="How the result is printed; json where nothing is said.",
            case_sensitive=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = None
    query: Annotated[
        str | None,
        typer.Option("--query", help="JMESPath: which part of the result is printed.", rich_help_panel=_OUTPUT),
    ] = None
    only_show_errors: Annotated[
        bool, typer.Option("--only-show-errors", help="No progress and no notes.", rich_help_panel=_OUTPUT)
    ] = False
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say more on stderr: which workspace, where.", rich_help_panel=_OUTPUT),
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel=_OUTPUT)
    ] = False

    # --- what differs between programs --------------------------------------------------------------------------------

    @property
    def program(self) -> str:
        """How the program is called, for messages that tell of its commands."""
        return "modelport"

    @property
    def deploys_to(self) -> str:
        """The kind of target where nothing names one."""
        return "local"

    # --- stderr and stdout --------------------------------------------------------------------------------------------

    @property
    def progress(self) -> Console:
        """Shows steps and bars on stderr: stdout is for the result alone."""
        return Console(shown=not self.only_show_errors, file=sys.stderr)

    def note(self, text: str) -> None:
        """Say something on stderr that is neither a result nor an error."""
        self.progress.step(text)

    def show(self, result: Result) -> None:
        """Print the result as it was asked for."""
        output.show(result, format=self.output, query=self.query)
        sys.stdout.flush()  # a reader that has gone is noticed here, where typer ends quietly, and not at exit

    # --- what the commands work with ----------------------------------------------------------------------------------

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the options name, or the nearest config.json, or the default one if it exists.

        Raises UserErrorException where there is none of them.
        """
        workspace = self._open()
        if self.verbose or self.debug:
            self.note(f"Workspace {workspace.name} in {workspace.folder}")
        return workspace

    def _open(self) -> Workspace:
        if self.workspace_name is None and not self.names_nothing:
            workspace = Workspace.from_config(self.path, progress=self.progress)
        else:
            workspace = Workspace.get(self.workspace_name or self._default(), progress=self.progress)
        self._check_labels(workspace)
        return workspace

    def _default(self) -> str:
        if not workspace_exists(DEFAULT_WORKSPACE):
            raise UserErrorException(
                f"Which workspace? We could not find config.json in: {Path(self.path).absolute()} or in its parent "
                f"directories, and there is no workspace {DEFAULT_WORKSPACE!r}.",
                hint="Name one with --workspace-name, attach this folder to one (modelport folder attach -w NAME), or "
                "create one (modelport workspace create -w NAME).",
            )
        self.note(f"No workspace is named: using {DEFAULT_WORKSPACE!r}")
        return DEFAULT_WORKSPACE

    @property
    def names_nothing(self) -> bool:
        """Whether neither a flag nor a config.json names a workspace."""
        if self.workspace_name is not None:
            return False
        try:
            read_config(self.path)
        except UserErrorException as error:
            return "could not find" in error.message
        return False

    def _check_labels(self, workspace: Workspace) -> None:
        """A label that is given must be the workspace's: else the command would work on another one than was meant."""
        for flag, given, present in (
            ("--resource-group", self.resource_group, workspace.resource_group),
            ("--subscription-id", self.subscription_id, workspace.subscription_id),
        ):
            if given is not None and given != present:
                raise UserErrorException(
                    f"The workspace {workspace.name!r} has {flag} {present!r}, not {given!r}.",
                    hint=f"Leave {flag} out: on this machine a workspace is found by its name alone.",
                )

    def model(self, model_id: str) -> Model:
        """The model with the id ``name:version``, or the newest of that name."""
        return Model(self.workspace, id=model_id)

    def service(self, name: str) -> Webservice:
        """The service of that name."""
        return Webservice(self.workspace, name)

    def wait(self, service: Webservice) -> None:
        """Return when the service takes requests. Raises DeploymentFailed as soon as it is known that it will not."""
        try:
            self.note(f"Waiting until the service {service.name!r} is healthy")
            self._await(service)
        except Stopped:
            self.note(
                f"The service {service.name!r} goes on starting: {self.program} service show "
                f"-w {service.workspace.name} -n {service.name} tells how it is, {self.program} service delete ends it."
            )
            raise
        service.update_deployment_state()
        self.note(f"The service {service.name!r} runs at {service.scoring_uri}")

    def _await(self, service: Webservice) -> None:
        wait_for_deployment(service.workspace.context, service.name)


@dataclass(frozen=True, kw_only=True)
class VersionedSession(Session):
    """For commands of environments, where ``-v`` is short for ``--version`` (azureml-v1 reference, 3)."""

    verbose: LongVerbose = False

"""The options that every command of ``az ml`` has, and what they mean there (azureml-v1 reference, 3)."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from modelport.cli.azure import output
from modelport.cli.azure.output import AzFormat
from modelport.cli.azure.words import PROGRAM
from modelport.cli.output import Result
from modelport.cli.session import LongVerbose, Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.webservice import Webservice


@dataclass(frozen=True, kw_only=True)
class AzSession(Session):
    """One call of ``az-ml``."""

    path: Annotated[
        str,
        typer.Option(
            "--path",
            help="Folder whose .azureml/config.json (or a folder's above it) names the workspace, where "
            "--workspace-name is not given.",
            rich_help_panel="Workspace",
        ),
    ] = "."
    output: Annotated[
        AzFormat,
        typer.Option(
            "--output", "-o", help="How the result is printed.", case_sensitive=False, rich_help_panel="Output"
        ),
    ] = AzFormat.JSON  # type: ignore[assignment]  # other formats than those of modelport

    @property
    def program(self) -> str:
        return PROGRAM

    @property
    def deploys_to(self) -> str:
        """A container instance, as v1 had it."""
        return "aci"

    def show(self, result: Result) -> None:
        """Print the result as ``az`` would; its text for people is the whole value there."""
        output.show(result, format=self.output, query=self.query)
        sys.stdout.flush()

    def _default(self) -> str:
        raise UserErrorException(
            f"Which workspace? Neither --workspace-name is given nor is there a .azureml/config.json in "
            f"{Path(self.path).absolute()} or in a folder above it.",
            hint="Give --workspace-name NAME (-w NAME), or attach the folder: az ml folder attach -w NAME.",
        )

    def _await(self, service: Webservice) -> None:
        """With the dots and the words of v1, on stderr."""
        with speaking_on_stderr():
            service.wait_for_deployment(show_output=not self.only_show_errors)


def speaking_on_stderr() -> AbstractContextManager[TextIO]:
    """What the SDK prints for people goes where progress goes: stdout is for the result alone."""
    return redirect_stdout(sys.stderr)


@dataclass(frozen=True, kw_only=True)
class AzVersionedSession(AzSession):
    """For commands of environments, where ``-v`` is short for ``--version``."""

    verbose: LongVerbose = False

"""``modelport doctor``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from modelport.cli.command import command, group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.composition import Installation, open_workspace
from modelport.domain.errors import WorkspaceException
from modelport.usecases.checks import Check, Verdict, problem
from modelport.usecases.doctor import Machine, examine

app = group("Check what on this machine would stop a deployment.")
_MARKS = {Verdict.OK: "ok     ", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}


@command(app, "doctor")
def doctor(session: Session) -> object:
    """Check what on this machine would stop a deployment, with one thing to try for each problem.

    Looks at all workspaces, or at the one that --workspace-name names. The exit code is 1 if there is a problem.
    """
    installation = Installation.from_environment()
    session.note("Checking this machine; asking the package index may take some seconds")
    names, unreadable = ([session.workspace_name], []) if session.workspace_name else _workspace_names(installation)
    workspaces = {name: partial(open_workspace, name, installation=installation) for name in names}
    checks = [*examine(Machine(home=installation.home, workspaces=workspaces)), *unreadable]
    return Result(
        [_row(check) for check in checks],
        text="\n".join(map(_line, checks)),
        columns=("verdict", "name", "finding", "hint"),
        is_good=all(check.verdict is not Verdict.PROBLEM for check in checks),
    )


def _workspace_names(installation: Installation) -> tuple[list[str], list[Check]]:
    """The names, and what is wrong where they cannot be read: that is a finding among others."""
    try:
        return installation.workspace_names(), []
    except WorkspaceException as error:
        return [], [problem("workspaces", error.message, error.hint)]


def _row(check: Check) -> dict[str, Any]:
    return {**asdict(check), "verdict": check.verdict.value}


def _line(check: Check) -> str:
    line = f"{_MARKS[check.verdict]}  {check.name}: {check.finding}"
    return f"{line}\n         try: {check.hint}" if check.hint else line

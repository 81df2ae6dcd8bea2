"""``modelport doctor``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from modelport.cli.command import command, group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.composition import Installation, open_workspace
from modelport.usecases.checks import Check, Verdict
from modelport.usecases.doctor import Machine, examine

app = group("Check what on this machine would stop a deployment.")
_MARKS = {Verdict.OK: "ok     ", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}


@command(app, "doctor")
def doctor(session: Session) -> object:
    """Check what on this machine would stop a deployment, with one thing to try for each problem.

    Looks at all workspaces, or at the one that --workspace-name names. The exit code is 1 if there is a problem.
    """
    installation = Installation.from_environment()
    names = [session.workspace_name] if session.workspace_name else installation.workspace_names()
    session.note("Checking this machine; asking the package index may take some seconds")
    workspaces = {name: partial(open_workspace, name, installation=installation) for name in names}
    checks = list(examine(Machine(home=installation.home, workspaces=workspaces)))
    return Result(
        [_row(check) for check in checks],
        text="\n".join(map(_line, checks)),
        columns=("verdict", "name", "finding", "hint"),
        is_good=all(check.verdict is not Verdict.PROBLEM for check in checks),
    )


def _row(check: Check) -> dict[str, Any]:
    return {**asdict(check), "verdict": check.verdict.value}


def _line(check: Check) -> str:
    line = f"{_MARKS[check.verdict]}  {check.name}: {check.finding}"
    return f"{line}\n         try: {check.hint}" if check.hint else line

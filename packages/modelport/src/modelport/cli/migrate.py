"""``modelport migrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.az_commands import known_options
from modelport.cli.command import command, group
from modelport.cli.migration_report import WORDS, lines_of
from modelport.cli.output import Format, Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.usecases.compatibility import Status
from modelport.usecases.migration import Finding, Report, Taken, examine, take_over

app = group("See what of a v1 project runs, and take its models and environments over.")

_COLUMNS = ("file", "cell", "line", "subject", "status", "note")


class FailOn(StrEnum):
    """Which findings make the exit code 1."""

    ABSENT = "absent"
    DIFFERS = "differs"
    NOTHING = "nothing"


@command(app, "migrate")
def migrate(
    session: Session,
    folder: Annotated[Path | None, typer.Argument(help="Folder of the project, or one file of it.")] = None,
    import_models: Annotated[
        Path | None,
        typer.Option(
            "--import-models",
            metavar="FOLDER",
            help="Register the models in azureml-models/NAME/VERSION/… below this folder, and the environments in "
            "folders with an azureml_environment.json.",
        ),
    ] = None,
    only_notes: Annotated[bool, typer.Option("--only-notes", help="Leave out what runs as is.")] = False,
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", help="Exit with 1 for what is not covered, for what differs too, or for nothing."),
    ] = FailOn.ABSENT,
) -> object:
    """See what of a v1 project runs as it is, what runs differently, and what is not covered.

    Reads scripts, notebooks, configurations (JSON, YAML), shell scripts and pipelines, and lists every call, key and
    command with its places, the gravest first; -o table has a row for each place. Nothing is run and nothing is
    changed. The exit code is 1 if something is not covered. With --import-models, models and environments are taken
    over into the workspace; versions keep their numbers where no number as high was given out.
    """
    if folder is None and import_models is None:
        raise UserErrorException(
            "What is to be looked at?", hint="Name a project: modelport migrate FOLDER, for example modelport migrate ."
        )
    taken = [] if import_models is None else take_over(session.workspace.context, import_models)
    if folder is None:
        return _taken(taken)
    report = examine(folder, takes=known_options)
    shown = [finding for finding in report.findings if not only_notes or finding.note or finding.status != Status.SAME]
    rows = [_row(finding) for finding in shown]
    whole = {
        "summary": _summary(report),
        "findings": rows,
        "unread": [{"file": file, "reason": reason} for file, reason in report.unread],
        "imported": [asdict(each) for each in taken],
    }
    return Result(
        rows if session.output in (Format.TABLE, Format.TSV) else whole,
        text="\n".join([*lines_of(shown), *_unread(report), *_total(report), *map(_taken_line, taken)]),
        columns=_COLUMNS,
        is_good=_is_good(report, fail_on) and not any(each.problem for each in taken),
    )


def _is_good(report: Report, fail_on: FailOn) -> bool:
    if fail_on is FailOn.NOTHING:
        return True
    return report.is_covered and not (fail_on is FailOn.DIFFERS and report.counts[Status.DIFFERS])


def _row(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "file": place.file,
        "cell": place.cell,
        "line": place.line,
        "subject": finding.subject,
        "status": finding.status.value,
        "note": finding.note,
    }


def _summary(report: Report) -> dict[str, int]:
    return {"files": len(report.files), **{status.value: count for status, count in report.counts.items()}}


def _unread(report: Report) -> Iterator[str]:
    for file, reason in report.unread:
        yield f"\n{file} cannot be read: {reason}"


def _total(report: Report) -> Iterator[str]:
    counts = report.counts
    parts = [f"{counts[status]} {words}" for status, words in WORDS.items() if counts[status]]
    if parts:
        yield f"\n{sum(counts.values())} uses of v1 in {len(report.files)} files: {', '.join(parts)}."
    else:
        yield f"Nothing of v1 was found in {len(report.files)} files."


def _taken(taken: Sequence[Taken]) -> Result:
    return Result(
        [asdict(each) for each in taken],
        text="\n".join(map(_taken_line, taken)),
        columns=("kind", "source", "id", "note", "problem"),
        is_good=not any(each.problem for each in taken),
    )


def _taken_line(each: Taken) -> str:
    if each.problem:
        return f"{each.kind} not imported: {each.problem}"
    return f"{each.kind} {each.id}" + (f" ({each.note})" if each.note else "")

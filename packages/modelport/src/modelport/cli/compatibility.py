"""The page docs/compatibility.md, made from the table and the code: ``python -m modelport.cli.compatibility``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from modelport.cli.az_commands import known_options
from modelport.usecases.compatibility import (
    Command,
    Implementation,
    KeyTable,
    Kind,
    Member,
    Status,
    Verdict,
    reference,
)
from modelport.usecases.compatibility.table import Chapter

_HEAD = """# What of v1 works, and how

Made from `usecases/compatibility/` and the code by `make compatibility`; a test compares the three. In the order of
v1's surface: SDK classes with their members, commands, files, entry scripts.

- **same**: as in v1. A note says what is worth knowing.
- **differs**: works, in another way: how.
- **absent**: not done: why, and what to do instead.
- **not yet**: meant to work, and not in this version.

`modelport migrate FOLDER` looks up what your own files use in this table ([migrating](migrating.md)).
"""


def page() -> str:
    """The whole page as Markdown."""
    code = Implementation(reference())
    chapters = ["\n".join(_chapter(chapter, code)) for chapter in reference().chapters]
    tables = ["\n".join(_keys(table)) for table in reference().tables]
    body = [*chapters, "\n".join(_commands(reference().commands)), *tables]
    return "\n".join([_HEAD, _summary("\n".join(body)), *body])


def verdict_of(command: Command) -> Verdict:
    """What a command of ``az ml`` is in this version."""
    known = known_options(command.name)
    if command.status is Status.ABSENT:
        return Verdict(status=Status.ABSENT, note=command.note)
    if known is None:
        return Verdict(status=Status.NOT_YET, note=command.note)
    lacks = tuple(names[0] for names in command.options if not known & set(names))
    return Verdict(status=Status.DIFFERS if lacks else command.status, note=command.note, lacks=lacks)


def _chapter(chapter: Chapter, code: Implementation) -> Iterator[str]:
    yield f"\n## {chapter.title}\n"
    for found in chapter.classes:
        verdict = code.of_class(found)
        yield f"### {found.name}\n"
        yield f"`{found.place.partition(':')[0]}`. {_sentence(verdict)}\n"
        if found.members and verdict.status is not Status.ABSENT:
            yield from _rows(_row(member, code.of_member(found, member, found.place)) for member in found.members)
    if chapter.functions:
        yield "### Functions\n"
        yield from _rows(_row(member, code.of_member(None, member, chapter.module)) for member in chapter.functions)


def _sentence(verdict: Verdict) -> str:
    note = verdict.note if verdict.note.endswith(".") or not verdict.note else verdict.note + "."
    return f"{verdict.status.capitalize()}: {note}" if verdict.status in (Status.ABSENT, Status.NOT_YET) else note


def _rows(rows: Iterable[tuple[str, Verdict, str]]) -> Iterator[str]:
    yield "| member | status | note |"
    yield "| --- | --- | --- |"
    for name, verdict, notes in rows:
        yield f"| `{name}` | {verdict.status} | {notes} |"
    yield ""


def _row(member: Member, verdict: Verdict) -> tuple[str, Verdict, str]:
    return _shown(member), verdict, _notes(verdict, member.parameter_notes)


def _notes(verdict: Verdict, of_parts: Mapping[str, str]) -> str:
    parts = [(name, note) for name, note in of_parts.items() if name not in verdict.lacks]
    notes = [verdict.note, *(f"`{name}`: {note}" for name, note in _together(parts))]
    if verdict.lacks:
        notes.append(f"not yet: `{'`, `'.join(verdict.lacks)}`")
    return "; ".join(filter(None, notes))


def _shown(member: Member) -> str:
    if member.kind in (Kind.ATTRIBUTE, Kind.CONSTANT):
        return member.name
    name = "constructor" if member.kind is Kind.CONSTRUCTOR else member.name
    given = [each.name if each.default is None else f"{each.name}={each.default}" for each in member.parameters]
    if len(given) > _MANY:
        given = [*given[:_MANY], "…"]
    return f"{name}({', '.join(given)})".replace("|", "\\|")


_MANY = 4


def _together(notes: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Names with the same note, joined."""
    by_note: dict[str, list[str]] = {}
    for name, note in notes:
        by_note.setdefault(note, []).append(name)
    for note, names in by_note.items():
        yield "`, `".join(names), note


def _commands(commands: Iterable[Command]) -> Iterator[str]:
    yield "\n## 3 Commands of az ml\n"
    yield "| command | status | note |"
    yield "| --- | --- | --- |"
    for command in commands:
        verdict = verdict_of(command)
        yield f"| `{command.name}` | {verdict.status} | {_notes(verdict, command.option_notes)} |"


def _keys(table: KeyTable) -> Iterator[str]:
    yield f"\n## {table.title}\n"
    yield from _rows((key, Verdict(status=status, note=note), note) for key, (status, note) in table.keys.items())


def _summary(body: str) -> str:
    found = Counter(line.split(" | ")[1] for line in body.splitlines() if line.startswith("| `"))
    return "Of {} rows: {}.".format(
        sum(found.values()), ", ".join(f"{found[status]} {status}" for status in Status if found[status])
    )


if __name__ == "__main__":
    sys.stdout.write(page().replace("\n\n\n", "\n\n").rstrip("\n") + "\n")

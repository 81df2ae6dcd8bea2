"""The findings of ``modelport migrate`` for a person: each once, with all its places, the gravest first."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence

from modelport.usecases.compatibility import Status
from modelport.usecases.migration import Finding, Place

WORDS = {
    Status.SAME: "runs as is",
    Status.DIFFERS: "runs differently",
    Status.NOT_YET: "not yet",
    Status.ABSENT: "not covered",
}
_GRAVEST_FIRST = (Status.ABSENT, Status.NOT_YET, Status.DIFFERS, Status.SAME)
_WIDTH = 110


def lines_of(findings: Sequence[Finding]) -> Iterator[str]:
    """A block for each status; in it a paragraph for each call, key or command. What runs as is and needs no word is
    one list without places."""
    is_first = True
    for status in _GRAVEST_FIRST:
        alike = [finding for finding in findings if finding.status is status]
        if not alike:
            continue
        yield ("" if is_first else "\n") + f"{WORDS[status].capitalize()}: {len(alike)}"
        is_first = False
        silent = [finding for finding in alike if status is Status.SAME and not finding.note]
        yield from _paragraphs([finding for finding in alike if finding not in silent])
        yield from _counted(silent)


def _paragraphs(findings: Sequence[Finding]) -> Iterator[str]:
    """The subject, what is said of it, and where it is."""
    groups: dict[tuple[str, str], list[Place]] = {}
    for finding in findings:
        groups.setdefault((finding.subject, finding.note), []).append(finding.place)
    for (subject, note), places in groups.items():
        yield f"  {subject}"
        if note:
            yield from _wrapped(note, indent=4)
        for file, found in itertools.groupby(
            sorted(places, key=lambda place: place.order), key=lambda place: place.file
        ):
            yield from _wrapped(f"{file}: {_where(list(found))}", indent=6)


def _where(places: Sequence[Place]) -> str:
    """Lines of a script; of a notebook, its cells and their lines."""
    if places[0].cell is None:
        numbers = [str(place.line) for place in places]
        return f"line{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
    cells = itertools.groupby(places, key=lambda place: place.cell)
    return "; ".join(f"cell {cell}: {', '.join(str(place.line) for place in found)}" for cell, found in cells)


def _counted(findings: Sequence[Finding]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.subject] = counts.get(finding.subject, 0) + 1
    if counts:
        names = (f"{name} ({count})" if count > 1 else name for name, count in sorted(counts.items()))
        yield from _wrapped(", ".join(names), indent=2)


def _wrapped(text: str, *, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )

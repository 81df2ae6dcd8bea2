"""Reads command lines: ``az ml …``, the commands around it, and ``pip install azureml-…``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from modelport.usecases.compatibility import Command, Status, reference
from modelport.usecases.migration.findings import CommandVerdict, Finding, Place
from modelport.usecases.migration.requirements import to_install

_ENDS = re.compile(r"\s(?:&&|\|\||[|;>]|2>)(?=\s|$)|;\s*$|\)\s*$")
_AZ = re.compile(r"(?:^|[\s;&|($`\"'@=])(az(?:-|\s+)ml\s)")
_SUBSTITUTED = re.compile(r"\$\([^()]*\)")
_PIP = re.compile(r"(?:^|[\s;&|!])(?:pip3?|conda|python3?\s+-m\s+pip)\s+install\s+(.*)$")
_AROUND = re.compile(r"(?:^|[\s;&|($`@])(az\s+(?:login|account\s+set|extension\s+(?:add|update)))\b(.*)$")
_GLOBAL = frozenset(
    {
        *("--workspace-name", "-w", "--resource-group", "-g", "--subscription-id", "--subscription", "--path"),
        *("--output", "-o", "--query", "--debug", "--help", "-h", "--only-show-errors", "--verbose", "-v"),
    }
)
_SUBMITS = frozenset(["run submit-script", "run submit-hyperdrive"])
"""What follows the script there is the script's."""
_SWITCHES = frozenset(["--async", "--debug", "--only-show-errors", "--verbose", "-v"])
_TWO_DASHES = re.compile(r"-[a-z]{2,3}")
_SECOND_VERSION = frozenset(
    ["online-deployment", "online-endpoint", "batch-endpoint", "batch-deployment", "job", "component", "data"]
)


class ShellReader:
    """Reads lines of a shell. ``takes`` says what the command line takes."""

    def __init__(self, takes: CommandVerdict) -> None:
        self._takes = takes

    def read(self, lines: Iterable[tuple[str, Place]]) -> Iterator[Finding]:
        """The commands among the lines; a line that ends in a backslash (or a backtick) goes on in the next one."""
        for text, place in _joined(lines):
            if text.lstrip().startswith(("#", "//", "REM ")):
                continue
            yield from self._around(text, place)
            for command in re.split(r"&&|\|\||;(?=\s)", text):
                for each in _az_commands(command):
                    yield self._command(each, place)
            install = _PIP.search(text)
            if install:
                yield from to_install(install[1], place)

    def _around(self, text: str, place: Place) -> Iterator[Finding]:
        found = _AROUND.search(text)
        if found is None:
            return
        subject = " ".join(found[1].split())
        if "extension" in subject:
            if "ml" in found[2]:
                note = "az-ml takes the same words once modelport-azureml[client] is installed; see modelport az"
                yield Finding(place=place, subject=f"{subject} {found[2].strip()}", status=Status.DIFFERS, note=note)
            return
        note = "not needed for Modelport: nobody logs in to this machine"
        yield Finding(place=place, subject=subject, status=Status.DIFFERS, note=note)

    def _command(self, text: str, place: Place) -> Finding:
        words = _words(text)
        words = words[1:] if words[0] == "az-ml" else words[2:]
        command = _longest(words)
        if command is None:
            return _no_command(words, place)
        status, note = self._verdict(command, words[len(command.name.split()) :])
        return Finding(place=place, subject=f"az ml {command.name}", status=status, note=note)

    def _verdict(self, command: Command, rest: Sequence[str]) -> tuple[Status, str]:
        known = self._takes(command.name)
        if command.status is Status.ABSENT:
            return Status.ABSENT, command.note
        if known is None:
            return Status.NOT_YET, command.note
        notes, lacking, strange = [command.note], [], []
        own = _before_the_script(rest) if command.name in _SUBMITS else rest
        for option in (_spelled_out(given, known) for given in _options(own)):
            long = command.long_of(option)
            if long is None:
                if option not in _GLOBAL and option not in known:
                    strange.append(option)
            elif not known & {long, option}:
                lacking.append(long)
            elif long in command.option_notes:
                notes.append(f"{long}: {command.option_notes[long]}")
        if strange:
            return Status.ABSENT, f"v1 has no option {', '.join(strange)} here, nor has Modelport"
        if lacking:
            return Status.NOT_YET, f"takes no {', '.join(lacking)} yet"
        differs = command.status is Status.DIFFERS or len(notes) > 1
        return Status.DIFFERS if differs else Status.SAME, "; ".join(filter(None, notes))


def _joined(lines: Iterable[tuple[str, Place]]) -> Iterator[tuple[str, Place]]:
    held, start = "", None
    for line, place in lines:
        text = line.rstrip()
        start = start or place
        if text.endswith(("\\", " `", " ^")):
            held += text[:-1] + " "
            continue
        yield held + text, start
        held, start = "", None
    if held and start:
        yield held, start


def _az_commands(text: str) -> Iterator[str]:
    """Each call of ``az ml`` in the text, also one within another: ``$(az ml …)`` ends with its parenthesis."""
    for found in _AZ.finditer(text):
        start = found.start(1)
        command, before = text[start : _end(text, start)], ""
        while command != before:
            command, before = _SUBSTITUTED.sub("VALUE", command), command
        yield command


def _end(text: str, start: int) -> int:
    """Where the command that starts there is closed by the parenthesis or the backtick before it, or the text ends."""
    depth, in_backticks = 0, text[:start].endswith("`")
    for index in range(start, len(text)):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth < 0 or (in_backticks and text[index] == "`"):
            return index
    return len(text)


def _words(text: str) -> list[str]:
    end = _ENDS.search(text)
    text = text[: end.start()] if end else text
    try:
        return shlex.split(text, comments=True) or ["az", "ml"]
    except ValueError:  # a quote that ends on another line, or one of another language
        return text.replace('"', " ").replace("'", " ").split()


def _longest(words: Sequence[str]) -> Command | None:
    for length in range(min(4, len(words)), 0, -1):
        found = reference().command(" ".join(words[:length]))
        if found is not None:
            return found
    return None


def _no_command(words: Sequence[str], place: Place) -> Finding:
    named = " ".join(word for word in words[:2] if not word.startswith("-"))
    second = words and words[0] in _SECOND_VERSION
    note = (
        "a command of version 2; Modelport has those of version 1" if second else "no documented command of version 1"
    )
    return Finding(place=place, subject=f"az ml {named}".strip(), status=Status.ABSENT, note=note)


def _before_the_script(words: Sequence[str]) -> list[str]:
    own: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        own.append(rest.pop(0))
        if rest and "=" not in own[-1] and own[-1] not in _SWITCHES:
            own.append(rest.pop(0))
    return own


def _spelled_out(option: str, known: Iterable[str]) -> str:
    """The option whose only beginning this is, as ``az`` reads it; itself where it is one, or fits none or several."""
    options = {*known, *_GLOBAL}
    matches = [each for each in options if each.startswith(option)]
    return matches[0] if option.startswith("--") and option not in options and len(matches) == 1 else option


def _options(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("-") and len(word) > 1 and not word[1:2].isdigit():
            option = word.partition("=")[0]
            yield f"-{option}" if _TWO_DASHES.fullmatch(option) else option

"""The table of v1's names, the code and the page say the same."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelport.cli.az_commands import known_options
from modelport.usecases.compatibility import Implementation, Kind, Member, ReferenceClass, Status, TypeName, reference
from modelport.usecases.compatibility.table import Parameter

PAGE = next(parent for parent in Path(__file__).parents if (parent / "docs").is_dir()) / "docs/compatibility.md"


@pytest.fixture(scope="module")
def code() -> Implementation:
    return Implementation(reference())


def test_the_page_is_what_the_table_and_the_code_make() -> None:
    made = subprocess.run([sys.executable, "-m", "modelport.cli.compatibility"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    kept = PAGE.read_text(encoding="utf-8").splitlines()
    fresh = made.stdout.splitlines()
    stale = [line for line in kept if line not in fresh] + [line for line in fresh if line not in kept]
    assert kept == fresh, f"run: make compatibility. {len(stale)} lines differ, the first: {stale[:2]}"


def test_no_member_would_misread_a_call_of_v1(code: Implementation) -> None:
    found = {
        member.label: verdict.contradictions
        for owner, member, module in reference().members()
        if (verdict := code.of_member(owner, member, module)).contradictions
    }
    assert found == {}


def test_what_is_absent_and_can_be_called_says_so(code: Implementation) -> None:
    """A member that does something is not absent: the table must say what it does."""
    quiet = []
    for owner, member, _ in reference().members():
        if owner is None or member.status is not Status.ABSENT:
            continue
        thing = getattr(code.object_of(owner), member.name, None)
        if thing is not None and not re.search(r"raise |Raises ", inspect.getsource(getattr(thing, "fget", thing))):
            quiet.append(member.label)
    assert quiet == []


def test_every_status_but_same_says_how_or_why() -> None:
    bare = [m.label for _, m, _ in reference().members() if m.status is not Status.SAME and not m.note]
    bare += [command.name for command in reference().commands if command.status is not Status.SAME and not command.note]
    assert bare == []


def test_every_name_of_a_type_is_in_the_table() -> None:
    known = {*reference().classes, "str", "int", "bool", "float", "bytes", "object", "list", "dict", "tuple"}
    # what a deployment configuration or an attach configuration is called does not matter to scripts
    unknown = {
        name
        for _, member, _ in reference().members()
        if member.returns
        for name in _names(member.returns)
        if name not in known
    }
    assert unknown == set()


def _names(found: TypeName) -> list[str]:
    return [found.name, *(name for part in found.of for name in _names(part))]


def test_what_is_there_is_verified(code: Implementation) -> None:
    """The comparison itself: what it says of a class whose code is at hand."""
    owner = ReferenceClass(name="Sample", place=f"{__name__}:Sample")

    def verdict(name: str, *parameters: str, kind: Kind = Kind.METHOD, note: str = "") -> object:
        given = tuple(Parameter(name=parameter, default="None") for parameter in parameters)
        found = code.of_member(
            owner, Member(name=name, kind=kind, owner="Sample", parameters=given, note=note), __name__
        )
        return found.status, found.lacks, found.contradictions

    same, differs = Status.SAME, Status.DIFFERS
    assert verdict("method", "first", "second") == (same, (), ())
    assert verdict("method", "first", "second", "third") == (differs, ("third",), ())
    assert verdict("method", "second", "first")[2] == ("has first at place 1, where v1 had second",)  # type: ignore[index]
    assert verdict("needy") == (same, (), ("needs this",))
    assert verdict("anything", "first", "second") == (same, (), ())
    for attribute in ("assigned", "annotated", "default"):
        assert verdict(attribute, kind=Kind.ATTRIBUTE) == (same, (), ())
    assert verdict("nowhere", kind=Kind.ATTRIBUTE) == verdict("missing") == (Status.NOT_YET, (), ())
    assert verdict("CONSTANT", kind=Kind.CONSTANT, note="'x'") == (same, (), ())
    assert verdict("CONSTANT", kind=Kind.CONSTANT, note="'y'")[2] == ("is 'x'",)  # type: ignore[index]
    missing = ReferenceClass(name="NotHere", place=__name__)
    assert code.of_class(missing).status is Status.NOT_YET
    absent = code.of_class(ReferenceClass(name="HyperDriveConfig", place="azureml.train.hyperdrive"))
    assert absent.status is Status.ABSENT
    assert "does not train" in absent.note


class Sample:
    """Something to compare with."""

    CONSTANT = "x"
    annotated: int
    default: str | None = None

    def __init__(self) -> None:
        self.assigned = 1

    def method(self, first: object = None, second: object = None) -> None: ...

    def needy(self, this: object) -> None: ...

    def anything(self, **everything: object) -> None: ...


def test_commands_and_their_options_are_looked_up() -> None:
    options = known_options("model register")
    assert options is not None
    assert {"--name", "-n", "--model-path", "-p", "--workspace-name", "-w"} <= options
    assert known_options("model train") is None


def test_every_section_of_the_reference_has_rows() -> None:
    titles = re.findall(r"^## (\S+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [
        title
        for title in ("2.1", "2.2", "2.4", "2.6", "2.11", "2.12", "2.13", "2.15", "2.16", "3", "4.2")
        if title not in titles
    ] == []

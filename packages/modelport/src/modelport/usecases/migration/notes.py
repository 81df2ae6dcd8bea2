"""Notes each use of v1 in a script as a finding."""

from __future__ import annotations

import ast

from modelport.usecases.compatibility import Kind, Status
from modelport.usecases.migration.findings import Finding, Place
from modelport.usecases.migration.names import Names
from modelport.usecases.migration.sources import Code
from modelport.usecases.migration.values import Bound, Unknown, Value


class Notes:
    """The findings of one namespace."""

    def __init__(self, code: Code, names: Names) -> None:
        self.findings: list[Finding] = []
        self.commands: list[tuple[str, Place]] = []
        """Command lines of ``az ml`` that the script has as texts."""
        self._code = code
        self._names = names

    def _place(self, node: ast.AST) -> Place:
        return self._code.place(getattr(node, "lineno", 1))

    def _note(self, node: ast.AST, subject: str, status: Status, note: str = "") -> None:
        finding = Finding(place=self._place(node), subject=subject, status=status, note=note)
        if finding not in self.findings:
            self.findings.append(finding)

    def _note_bound(
        self, node: ast.AST, bound: Bound, arguments: dict[str, Value], *, even_if_same: bool = True
    ) -> None:
        status, note = self._names.verdict(bound, arguments)
        if status is Status.SAME and not even_if_same:
            return
        label = bound.member.label
        if bound.owner is not None and bound.member.kind is Kind.CONSTRUCTOR:
            label = f"{bound.owner.name}(…)"
        self._note(_last_line_of(node), label, status, note)

    def _note_unknown(self, node: ast.AST, name: str) -> None:
        self._note(node, name, Status.ABSENT, self._names.why_no_module(name))

    def _note_unknown_member(self, node: ast.AST, value: Unknown) -> None:
        owner, _, name = value.label.rpartition(".")
        if not self._names.knows_member(owner, name):
            self._note(
                _last_line_of(node),
                value.label,
                Status.ABSENT,
                "beyond what Modelport covers of v1: it has no such member",
            )

    def _note_second_version(self, node: ast.AST, name: str) -> None:
        self._note(node, name, Status.ABSENT, "this is version 2 of the SDK; Modelport has the names of version 1")


def _last_line_of(node: ast.AST) -> ast.AST:
    """Where a chained call says its name: ``Model\\n.register(…)`` is on the line of ``register``."""
    function = node.func if isinstance(node, ast.Call) else node
    end = getattr(function, "end_lineno", None)
    return ast.Pass(lineno=end) if end and isinstance(function, ast.Attribute) else node

"""Follows names of v1 through the expressions of a script: attributes, calls, subscripts, comprehensions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from modelport.usecases.compatibility import Status, TypeName
from modelport.usecases.migration.notes import Notes
from modelport.usecases.migration.scopes import Scope
from modelport.usecases.migration.values import (
    Bound,
    Class,
    Function,
    Instance,
    Module,
    OfContainer,
    Placeholder,
    Text,
    Unknown,
    Value,
    called_on_container,
    element_of,
)

USUAL = {"ws": "Workspace", "workspace": "Workspace", "experiment": "Experiment"}
"""Names that nobody defines in this file, and that everybody uses for the same: parameters, and cells run elsewhere."""

_COMMAND = re.compile(r"^\s*az\s+ml\s")
_CLOUD_ADDRESS = re.compile(r"https?://[^\s\"']*\.(azurecontainer\.io|azmk8s\.io|cloudapp\.azure\.com|azureml\.ms)\b")
_HERE = "/var/azureml-app"


class ExpressionReader(Notes):
    """Says what an expression is known to be, and notes what it uses."""

    def _bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for index, part in enumerate(target.elts):
                self._bind(part, element_of(value, index), scope)
        elif isinstance(target, ast.Attribute):
            scope[ast.unparse(target)] = value
            self._evaluate(target, scope)
        else:
            self._evaluate(target, scope)

    def _evaluate(self, node: ast.expr, scope: Scope) -> Value:
        """What the expression is known to be; its uses of v1 are noted."""
        if isinstance(node, ast.Name):
            return self._name(node, scope)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, scope)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        if isinstance(node, ast.Subscript):
            value = self._evaluate(node.value, scope)
            self._evaluate(node.slice, scope)
            return element_of(value, node.slice.value if isinstance(node.slice, ast.Constant) else None)
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            return self._comprehension(node, scope)
        if isinstance(node, ast.Lambda):
            return self._evaluate(node.body, dict(scope))
        if isinstance(node, ast.NamedExpr):
            value = self._evaluate(node.value, scope)
            self._bind(node.target, value, scope)
            return value
        found = [self._evaluate(part, scope) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        if isinstance(node, ast.List) and any(isinstance(value, Instance) for value in found):
            kinds = [value.type for value in found if isinstance(value, Instance)]
            return Instance(TypeName("list", (kinds[0],)))
        if isinstance(node, ast.IfExp | ast.BoolOp | ast.Await):
            return next((value for value in found if isinstance(value, Instance)), None)
        return None

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.id in scope:
            return scope[node.id]
        usual = USUAL.get(node.id)
        return Instance(TypeName(usual)) if usual and isinstance(node.ctx, ast.Load) else None

    def _attribute(self, node: ast.Attribute, scope: Scope, *, on_the_way: bool = False) -> Value:
        """An attribute that is not called; ``on_the_way``: only a member of it is."""
        kept = scope.get(ast.unparse(node)) if isinstance(node.ctx, ast.Load) else None
        value = self._member_of(node, scope)
        if isinstance(value, Bound):
            self._note_bound(node, value, {}, even_if_same=not on_the_way)
            return kept or self._names.of_attribute(value)
        if isinstance(value, Unknown):
            self._note_unknown_member(node, value)
        if isinstance(value, Placeholder):
            return value
        return kept or (value if isinstance(value, Class | Module) else None)

    def _member_of(self, node: ast.Attribute, scope: Scope) -> Value:
        if isinstance(node.value, ast.Attribute):
            return self._names.member(self._attribute(node.value, scope, on_the_way=True), node.attr)
        return self._names.member(self._evaluate(node.value, scope), node.attr)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        called = self._callee(node.func, scope)
        positional = [self._evaluate(argument, scope) for argument in node.args]
        keywords = {
            keyword.arg: self._evaluate(keyword.value, scope)
            for keyword in node.keywords
            if keyword.arg is not None or self._evaluate(keyword.value, scope) is None
        }
        given = {name: value for name, value in keywords.items() if name is not None}
        if isinstance(called, Function):
            return called.reader.call_function(called, positional, given)
        if isinstance(called, OfContainer):
            return called_on_container(called)
        if isinstance(called, Placeholder):
            self._note(node, called.name, Status.ABSENT, called.note)
            return None
        if isinstance(called, Unknown):
            self._note_unknown_member(node, called)
            return None
        if isinstance(called, Class):
            called = self._names.constructor(called.found)
        if not isinstance(called, Bound):
            return None
        arguments = self._arguments(node, called, positional, given)
        said = set(_said(node, called))
        self._note_bound(node, called, {name: value for name, value in arguments.items() if name in said})
        return self._names.returned(called, arguments)

    def _callee(self, node: ast.expr, scope: Scope) -> Value:
        """What is called: a member is noted by its call, and not as an attribute too."""
        if not isinstance(node, ast.Attribute):
            return self._evaluate(node, scope)
        return scope.get(ast.unparse(node)) or self._member_of(node, scope)

    def _arguments(
        self, node: ast.Call, called: Bound, positional: list[Value], given: dict[str, Value]
    ) -> dict[str, Value]:
        """The arguments by the names of v1's parameters."""
        names = [parameter.name for parameter in called.member.parameters]
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        return {**({} if starred else dict(zip(names, positional, strict=False))), **given}

    def _constant(self, node: ast.Constant) -> Value:
        if not isinstance(node.value, str):
            return None
        text = node.value
        if _COMMAND.match(text):
            self.commands.append((text, self._place(node)))
        if _CLOUD_ADDRESS.search(text):
            self._note(node, text, Status.DIFFERS, "an address of the cloud: use service.scoring_uri")
        if _HERE in text:
            self._note(node, _HERE, Status.DIFFERS, "the path is another one: use AML_APP_ROOT, or relative paths")
        return Text(text)

    def _comprehension(self, node: Any, scope: Scope) -> Value:
        inner = dict(scope)
        for part in node.generators:
            self._bind(part.target, element_of(self._evaluate(part.iter, inner)), inner)
            for condition in part.ifs:
                self._evaluate(condition, inner)
        if isinstance(node, ast.DictComp):
            self._evaluate(node.key, inner)
            value = self._evaluate(node.value, inner)
            return Instance(TypeName("dict", (TypeName("str"), value.type))) if isinstance(value, Instance) else None
        value = self._evaluate(node.elt, inner)
        return Instance(TypeName("list", (value.type,))) if isinstance(value, Instance) else None

    def _annotated(self, node: ast.expr, scope: Scope) -> Value:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return None
        found = self._evaluate(node, scope) if isinstance(node, ast.Name | ast.Attribute) else None
        return Instance(TypeName(found.found.name)) if isinstance(found, Class) else None


def _said(node: ast.Call, called: Bound) -> Iterator[str]:
    """The parameters that the call gives anything but None."""
    names = [parameter.name for parameter in called.member.parameters]
    for name, argument in zip(names, node.args, strict=False):
        if not _is_none(argument):
            yield name
    for keyword in node.keywords:
        if keyword.arg is not None and not _is_none(keyword.value):
            yield keyword.arg


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
